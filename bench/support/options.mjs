/** Flags of every bench: defaults, --help, numbers and lists. An environment variable BENCH_NAME stands in for --name. */
import { parseArgs } from 'node:util';

const COMMON = {
  'database-url': [
    'postgres://postgres@127.0.0.1:5432/postgres',
    'PostgreSQL server; each bench creates its own database on it and drops it again',
  ],
  set: ['', 'settings of the databases the bench creates, such as jit=off,synchronous_commit=local'],
  root: ['.', 'directory that holds dist/ and migrations/ of the build to measure'],
};

/** `flags`: name → [default, meaning]; a default of false makes a switch, a number a number, an array a list of its first item's kind. */
export function readOptions(about, flags = {}) {
  const all = { ...flags, ...COMMON, help: [false, 'this text'] };
  const options = Object.fromEntries(
    Object.entries(all).map(([name, [value]]) => [name, { type: value === false ? 'boolean' : 'string' }]),
  );
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
  if (values.help) {
    const rows = Object.entries(all).map(
      ([name, [value, meaning]]) => `  --${name.padEnd(14)} ${meaning}${value === false ? '' : ` [${value}]`}`,
    );
    process.stdout.write(`${about}\n\n${rows.join('\n')}\n`);
    process.exit(0);
  }
  return Object.fromEntries(
    Object.entries(all).map(([name, [fallback]]) => [
      name.replace(/-(.)/g, (_, c) => c.toUpperCase()),
      typed(values[name] ?? process.env[`BENCH_${name.replaceAll('-', '_').toUpperCase()}`], fallback, name),
    ]),
  );
}

function typed(given, fallback, name) {
  if (given === undefined) return fallback;
  if (fallback === false) return given === true || given === '1' || given === 'true';
  if (Array.isArray(fallback)) return given.split(',').map((item) => typed(item, fallback[0], name));
  if (typeof fallback !== 'number') return given;
  const number = Number(given);
  if (Number.isFinite(number) && number > 0) return number;
  process.stderr.write(`--${name} must be a positive number, not ${given}\n`);
  return process.exit(1);
}
