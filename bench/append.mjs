/** Appends per second beside a plain INSERT of the same rows, on both databases, in interleaved rounds. --help says more. */
import { appends, plainInserts, toolsOf } from './support/appending.mjs';
import { bench, openLedger } from './support/database.mjs';
import { median, note, printTable, progress } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';

const options = readOptions('Appends per second through the appender, beside a plain multi-row INSERT of the same rows.', {
  rounds: [5, 'rounds; every case is measured in every round'],
  seconds: [1, 'length of one measurement'],
  writers: [[1, 8, 64, 200], 'numbers of writers, each with a stream of its own'],
  databases: [['postgres', 'embedded'], 'databases'],
});

const BATCHES = [1, 200];
const GOAL = { 1: 0.6, 200: 0.4 };

async function compare(kind) {
  const tools = await toolsOf(options);
  const { db, database } = await openLedger(options, kind);
  const appender = new tools.Appender(db);
  const plain = await plainInserts(db, tools);
  const milliseconds = options.seconds * 1000;
  const cases = [
    ...BATCHES.map((batch) => [`plain INSERT of ${batch}`, () => plain(batch, milliseconds, database)]),
    ...options.writers.map((writers) => [
      `append, ${writers} writers`,
      () => appends(appender, tools, { writers, milliseconds, database }),
    ]),
  ];
  for (const [, run] of cases) await run(); // warm-up
  const found = new Map(cases.map(([name]) => [name, []]));
  for (let round = 1; round <= options.rounds; round++) {
    for (let i = 0; i < cases.length; i++) {
      const [name, run] = cases[(i + round) % cases.length];
      const result = await run();
      found.get(name).push(result);
      progress(`${kind}, round ${round}, ${name}: ${result.rate.toFixed(0)} events/s, p50 ${result.p50.toFixed(2)} ms`);
    }
  }
  await appender.drain();
  report(kind, found);
}

function report(kind, found) {
  printTable(
    `${kind}, median of ${options.rounds} rounds of ${options.seconds} s`,
    ['case', 'events/s', 'p50 ms', 'p99 ms', 'events/batch', 'node µs/event', 'database µs/event'],
    [...found].map(([name, results]) => {
      const middle = (what) => median(results.map((r) => r[what] ?? Number(name.split(' ').at(-1))));
      return [name, ...['rate', 'p50', 'p99', 'batch', 'node', 'db'].map(middle)];
    }),
  );
  for (const batch of BATCHES) {
    const plain = found.get(`plain INSERT of ${batch}`);
    const ours = found.get(`append, ${batch} writers`);
    if (!ours) continue;
    const ratios = ours.map((r, i) => r.rate / plain[i].rate);
    note(`batch ${batch}: append ÷ plain = ${median(ratios).toFixed(2)} (median of the rounds' ratios; goal: at least ${GOAL[batch]})`);
  }
  if (kind === 'embedded') note('embedded: the database runs inside this Node process, so "node" holds both.');
}

await bench(async () => {
  for (const kind of options.databases) {
    await compare(kind).catch((error) => {
      note(`\n${kind} was NOT measured: ${error.message}`);
      process.exitCode = 1;
    });
  }
});
