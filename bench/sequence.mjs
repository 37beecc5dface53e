/** Events sequenced per second, from a backlog and while writers are at it, and events verified per second. --help says more. */
import { appends, fill, toolsOf } from './support/appending.mjs';
import { bench, built, openLedger } from './support/database.mjs';
import { median, note, printTable, progress } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';

const options = readOptions('Events sequenced and verified per second.', {
  rounds: [3, 'rounds; each makes the ledger larger'],
  events: [10_000, 'events added per round'],
  seconds: [2, 'length of the measurement with writers'],
  databases: [['postgres', 'embedded'], 'databases'],
});

/** Everything that waits gets its place, as the sequencer does it after a take-over. */
async function drainBacklog(db, sequence) {
  const started = performance.now();
  let events = 0;
  for (;;) {
    const { n } = await sequence(db, 0, 2000);
    if (n === 0) return { events, rate: events / ((performance.now() - started) / 1000) };
    events += n;
  }
}

/** With the sequencer at work as in a running server; its lag is what the leaves say: sequenced_at against the time of the record. */
async function live({ db, database }, tools, Sequencer) {
  const [{ size }] = await db.query('SELECT size FROM sequencer');
  const sequencer = new Sequencer(db, undefined, { tree: true });
  const appender = new tools.Appender(db, () => sequencer.kick());
  sequencer.start();
  const result = await appends(appender, tools, { writers: 64, milliseconds: options.seconds * 1000, database });
  await appender.drain();
  await sequencer.drain();
  const [lag] = await db.query(
    `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99, count(*) AS n FROM (
       SELECT extract(epoch FROM l.sequenced_at - e.time::timestamptz)::float8 * 1000 AS ms FROM leaf l JOIN event e ON e.id = l.event WHERE l.idx >= $1) lag`,
    [size],
  );
  return { ...result, lag50: lag.p50, lag99: lag.p99 };
}

async function verify(db) {
  const { verifyLedger } = await built(options.root, 'audit/verify.postgres.js');
  const started = performance.now();
  let last;
  for await (const said of verifyLedger(db)) last = said;
  return { verdict: last, seconds: (performance.now() - started) / 1000 };
}

async function measure(kind) {
  const tools = await toolsOf(options);
  const { Sequencer } = await built(options.root, 'ledger/sequence.worker.js');
  const { sequence } = await built(options.root, 'ledger/sequence.postgres.js');
  const ledger = await openLedger(options, kind);
  const { db } = ledger;
  const appender = new tools.Appender(db);
  const rows = [];
  for (let round = 1; round <= options.rounds; round++) {
    await fill(appender, tools, options.events, `round-${round}`);
    const backlog = await drainBacklog(db, sequence);
    const busy = await live(ledger, tools, Sequencer);
    const [{ size }] = await db.query('SELECT size FROM sequencer');
    const audit = await verify(db).catch((error) => ({ error }));
    const { verdict } = audit;
    const outcome = audit.error?.message ?? verdict.verdict;
    progress(`${kind}, round ${round}: ${backlog.rate.toFixed(0)} sequenced/s, verify of ${size}: ${outcome}`);
    rows.push([size, backlog.rate, busy.rate, busy.lag50, busy.lag99, audit.error ? '-' : size / audit.seconds, outcome]);
  }
  printTable(
    `${kind}: each row a larger ledger`,
    ['events', 'backlog sequenced/s', 'appends/s while sequencing', 'lag p50 ms', 'lag p99 ms', 'verified/s', 'verdict'],
    rows,
  );
  note(`medians: ${median(rows.map((r) => r[1])).toFixed(0)} sequenced/s, ${median(rows.map((r) => Number(r[5]))).toFixed(0)} verified/s`);
}

await bench(async () => {
  for (const kind of options.databases) {
    await measure(kind).catch((error) => {
      note(`\n${kind} was NOT measured: ${error.message}`);
      process.exitCode = 1;
    });
  }
});
