import { readFileSync } from 'node:fs';

const swc = JSON.parse(readFileSync(new URL('./.swcrc', import.meta.url), 'utf8'));

// What is ours is compiled to CommonJS, packages are loaded by Node: so ESM-only ones (NestJS 12) and CommonJS ones (TypeORM, pg) live
// in one Jest run without flags, on Node 20 too.
export default {
  runtime: '<rootDir>/test/support/jest-runtime.mjs',
  testEnvironment: '<rootDir>/test/support/jest-environment.mjs',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testRegex: '\\.spec\\.ts$',
  moduleNameMapper: {
    // import() of a module named by its URL is a require() here, which takes paths. Without escapes: those are for real Node processes to try.
    '^file://([^%]*)$': '$1',
    '^agent-orchestrator$': '<rootDir>/src/agents/agent.ts',
    '^(\\.{1,2}/.*)\\.js$': ['$1.js', '$1'],
  },
  transform: {
    '\\.(ts|[cm]?js)$': ['@swc/jest', { ...swc, swcrc: false, sourceMaps: 'inline', module: { type: 'commonjs' } }],
  },
  globalSetup: '<rootDir>/test/support/global-setup.mjs',
  globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
  testTimeout: 60_000,
  maxWorkers: 2,
  ...(process.env.TEST_DATABASES === 'server' && { testPathIgnorePatterns: ['/node_modules/', '/test/ledger/(embedded|housekeeping)'] }),
  ...(process.env.CRASH_ROUNDS && { testSequencer: '<rootDir>/test/support/crashes-first.mjs' }),
};
