import { PAYLOAD_HOME, rules, sources } from './support/house-rules.js';

type Rule = keyof typeof rules;
type Plant = [rule: Rule, files: Record<string, string>, reported: string[]];

/** For every rule: small bad files beside innocent ones, and what must be reported, in full. */
const PLANTS: Plant[] = [
  [
    'a room imports itself and lower ranks only',
    {
      'agents/agent.ts': `import { a } from '../contracts/contract.js'; import { b } from './directory.js'; import { c } from '../ledger/record.js';`,
      'kernel/json.ts': `import type { Agent } from 'agent-orchestrator'; type T = import('../ledger/record.js').T;`,
      'audit/export.ts': `export * from '../api/problem.filter.js'; const late = () => import('../../outside.js');`,
      'integration/trace/trace.client.ts': `import '../agents/answer.js'; import '../../audit/export.js'; import '../../config.js';`,
      'attic/old.ts': `export const x = 1;`,
      'main.ts': `import './app.module.js'; import './api/problem.filter.js';`,
    },
    [
      'agents/agent.ts: imports ../contracts/contract.js, which is not below it',
      'kernel/json.ts: imports agent-orchestrator, which is not below it',
      'kernel/json.ts: imports ../ledger/record.js, which is not below it',
      'audit/export.ts: imports ../api/problem.filter.js, which is not below it',
      'audit/export.ts: imports ../../outside.js, which is not below it',
      'integration/trace/trace.client.ts: imports ../../config.js, which is not below it',
      'attic/old.ts: the room attic has no rank',
    ],
  ],
  [
    'a role is one of the closed list',
    {
      'api/orchestrate.controller.ts': '',
      'api/orchestrate.service.ts': '',
      'api/a.spec.ts': '',
      'api/a.b.controller.ts': '',
      'config.ts': '',
    },
    [
      'api/orchestrate.service.ts: has the unknown role .service',
      'api/a.spec.ts: has the unknown role .spec',
      'api/a.b.controller.ts: has the unknown role .b.controller',
    ],
  ],
  [
    'a file without a role imports only pure things',
    {
      'ledger/record.ts': `import { createHash } from 'node:crypto'; import z from 'zod'; import { a } from './ledger.settings.js'; import type { P } from 'pg';`,
      'ledger/salt.ts': `import { createHash, randomBytes as hash } from 'node:crypto';`,
      'ledger/hash.ts': `import * as c from 'node:crypto'; import d from 'node:crypto'; import { e } from 'node:fs';`,
      'ledger/ledger.settings.ts': `import { pool } from './database.postgres.js';`,
      'ledger/database.postgres.ts': `import pg from 'pg'; import { randomBytes } from 'node:crypto'; import './record.js';`,
      'cli.ts': `import { readFileSync } from 'node:fs';`,
    },
    [
      'ledger/record.ts: is pure by name and imports pg',
      'ledger/salt.ts: is pure by name and imports node:crypto',
      'ledger/hash.ts: is pure by name and imports node:crypto',
      'ledger/hash.ts: is pure by name and imports node:crypto',
      'ledger/hash.ts: is pure by name and imports node:fs',
      'ledger/ledger.settings.ts: is pure by name and imports ./database.postgres.js',
    ],
  ],
  [
    'a file without a role knows no clock, chance, environment or network',
    {
      'routing/a.ts': `const a = [Date.now(), new Date(), Date(), Math.random(), AbortSignal.timeout(1)];`,
      'routing/b.ts': `setTimeout(() => fetch(process.env.URL), performance.now()); export const c = { crypto };`,
      'routing/c.ts': `// Date.now() and process.env\nconst x = ['new Date()', new Date(0), Date.parse('2026'), Math.max(1), job.fetch(), { performance: 1 }]; class P { process() {} }`,
      'routing/d.schema.ts': `const now = Date.now();`,
      'routing/e.system.ts': `const now = Date.now();`,
      'config.ts': `export const config = process.env;`,
    },
    [
      ...['Date.now', 'new Date()', 'Date()', 'Math.random', 'AbortSignal.timeout'].map(
        (name) => `routing/a.ts: is pure by name and uses ${name}`,
      ),
      ...['setTimeout', 'fetch', 'process', 'performance', 'crypto'].map((name) => `routing/b.ts: is pure by name and uses ${name}`),
      'routing/d.schema.ts: is pure by name and uses Date.now',
    ],
  ],
  [
    'a file has at most 250 lines',
    { 'kernel/short.ts': 'x;\n'.repeat(250), 'kernel/long.ts': 'x;\n'.repeat(251) },
    ['kernel/long.ts: has 251 lines'],
  ],
  [
    'a function has at most 4 parameters, an injected constructor 6',
    {
      'kernel/a.ts': `function f(a, b, c, d, e) {} const g = (a, b, c, d) => (a, b, c, d, e) => 1;`,
      'kernel/b.ts': `abstract class B { constructor(a, b, c, d, e) {} abstract m(a, b, c, d, e): void; ok(this: B, a, b, c, d) {} }`,
      'ledger/c.worker.ts': `@Injectable() class C { constructor(a, b, c, d, e, f) {} } @Injectable() class D { constructor(a, b, c, d, e, f, g) {} }`,
      'ledger/d.worker.ts': `class D { constructor(a, b, c, d, e) {} }`,
      'ledger/e.ts': `@Injectable() class E { constructor(a, b, c, d, e) {} }`,
    },
    [
      'kernel/a.ts: has a function with 5 parameters: function f(a, b, c, d, e) {}',
      'kernel/a.ts: has a function with 5 parameters: (a, b, c, d, e) => 1',
      'kernel/b.ts: has a function with 5 parameters: constructor(a, b, c, d, e) {}',
      'kernel/b.ts: has a function with 5 parameters: abstract m(a, b, c, d, e): void;',
      'ledger/c.worker.ts: has a function with 7 parameters: constructor(a, b, c, d, e, f, g) {}',
      'ledger/d.worker.ts: has a function with 5 parameters: constructor(a, b, c, d, e) {}',
      'ledger/e.ts: has a function with 5 parameters: constructor(a, b, c, d, e) {}',
    ],
  ],
  [
    'a file is named after what it holds and holds something',
    {
      'kernel/utils.ts': 'export const a = 1;',
      'api/common/a.ts': 'export const a = 1;',
      'api/index.ts': `export * from './a.js';`,
      'api/a.ts': `import { b } from './b.js'; export { b };`,
      'api/b.ts': `export { c } from './c.js'; export const b = 1;`,
    },
    [
      'kernel/utils.ts: is named utils',
      'api/common/a.ts: is named common',
      'api/index.ts: is named index',
      'api/index.ts: holds nothing of its own',
      'api/a.ts: holds nothing of its own',
    ],
  ],
  [
    'nothing is called Impl',
    { 'kernel/a.ts': 'class ClockImpl {} const x = new ClockImpl(); const Implicit = 1;' },
    ['kernel/a.ts: names ClockImpl'],
  ],
  [
    'there are no entities, sagas, aggregate roots or validation decorators',
    {
      'ledger/a.postgres.ts': `@Entity() class A { @Column() x; }`,
      'ledger/b.follower.ts': `class B { @Saga() s; }`,
      'contracts/c.commands.ts': `class C extends AggregateRoot {}`,
      'api/d.schema.ts': `import { IsString } from 'class-validator';`,
      'audit/prov.ts': `type Entity = { saga: string };`,
    },
    [
      'ledger/a.postgres.ts: decorates with @Entity',
      'ledger/b.follower.ts: decorates with @Saga',
      'contracts/c.commands.ts: uses AggregateRoot',
      'api/d.schema.ts: imports class-validator',
    ],
  ],
  [
    'one class extends Error',
    {
      'kernel/early.ts': 'class Early extends Error {}',
      'kernel/errors.ts': 'class OrchestratorError extends Error {} class Second extends Error {}',
      'api/a.filter.ts': 'class A extends HttpException {} class B extends OrchestratorError {} class C extends Port {}',
    },
    [
      'kernel/early.ts: Early extends Error',
      'kernel/errors.ts: Second extends Error',
      'api/a.filter.ts: A extends HttpException',
      'api/a.filter.ts: B extends OrchestratorError',
    ],
  ],
  [
    'a command or query has one handler',
    {
      'contracts/a.commands.ts': '@CommandHandler(Ask) class A {} @CommandHandler(Answer) class B {}',
      'contracts/b.queries.ts': '@QueryHandler(Find) class C {} @QueryHandler(Ask) class D {}',
    },
    ['contracts/b.queries.ts: handles Ask a second time'],
  ],
  [
    'one file reads and writes the table payload',
    {
      'ledger/payload.postgres.ts': 'sql`SELECT bytes FROM payload`;',
      'ledger/a.postgres.ts': 'sql`SELECT * FROM event e\n  LEFT JOIN payload p ON true`;',
      'ledger/b.postgres.ts': `query('insert into "payload" values ($1)');`,
      'ledger/c.postgres.ts': `query("DELETE FROM ledger.payload WHERE event = $1");`,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the plant is source text
      'ledger/d.postgres.ts': 'sql`WITH x AS (${y}) UPDATE payload SET bytes = ${z}`;',
      'ledger/e.postgres.ts': '// from payload\nconst payload = sql`SELECT payload, parameters FROM payloads, event`;',
    },
    ['a', 'b', 'c', 'd'].map((name) => `ledger/${name}.postgres.ts: speaks SQL to the table payload`),
  ],
];

const files = sources();

it('the house is seen at all', () => {
  expect(files.length).toBeGreaterThanOrEqual(20);
});

it('the SQL of payload.postgres.ts would be reported in any other file', () => {
  const moved = files.map(({ path, text }) => ({ path: path === PAYLOAD_HOME ? 'ledger/moved.postgres.ts' : path, text }));
  expect(rules['one file reads and writes the table payload'](moved)).toEqual([expect.stringContaining('ledger/moved.postgres.ts')]);
});

it.each(Object.keys(rules) as Rule[])('in the house, %s', (rule) => {
  expect(rules[rule](files)).toEqual([]);
});

it('every rule is shown to fail', () => {
  expect(PLANTS.map(([rule]) => rule)).toEqual(Object.keys(rules));
});

it.each(PLANTS)('a planted breach is reported: %s', (rule, planted, reported) => {
  const seen = rules[rule](Object.entries(planted).map(([path, text]) => ({ path, text })));
  expect(seen.sort()).toEqual(reported.sort());
});
