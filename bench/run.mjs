/** npm run bench: every bench with short defaults, one after the other. Flags are handed on to all of them. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SHORT = {
  'append.mjs': ['--rounds', '3'],
  'contention.mjs': ['--rounds', '2'],
  'sequence.mjs': ['--rounds', '2'],
  'proofs.mjs': ['--leaves', '100000'],
  'orchestrate.mjs': ['--rounds', '3'],
  'routing.mjs': [],
  'plans.mjs': ['--rounds', '2', '--seconds', '1'],
  'trace.mjs': ['--rounds', '2', '--backlog', '10000'],
  'protocols.mjs': ['--rounds', '3'],
  'discovery.mjs': ['--agents', '300'],
  'verify.mjs': ['--rounds', '2', '--events', '10000'],
  'bundle.mjs': ['--rounds', '2', '--contracts', '2000'],
  'flat.mjs': ['--sizes', '1,10000', '--session', '1,1000'],
};

if (process.argv.includes('--help')) {
  process.stdout.write(`Runs ${Object.keys(SHORT).join(', ')}; each also runs alone and has its own --help.\n`);
  process.exit(0);
}
for (const [file, flags] of Object.entries(SHORT)) {
  process.stdout.write(`\n## ${file} ${flags.join(' ')}\n`);
  const script = fileURLToPath(new URL(file, import.meta.url));
  const { status } = spawnSync(process.execPath, [script, ...flags, ...process.argv.slice(2)], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
