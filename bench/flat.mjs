/** Does one orchestration cost the same in a large ledger and in a long session? --help says more. */
import { appends, fill, plainInserts, toolsOf } from './support/appending.mjs';
import { bench, openLedger, temporaryDirectory } from './support/database.mjs';
import { median, note, printTable, progress } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';
import { helper } from './support/processes.mjs';
import { settled, startVariant } from './support/variants.mjs';

const options = readOptions('Cost of an append and of an orchestration as the ledger and one session grow.', {
  full: [false, 'up to 1 000 000 events (takes many minutes)'],
  sizes: [[1, 10_000, 100_000], 'events in the ledger'],
  session: [[1, 100, 1000, 10_000], 'events in one session'],
  rounds: [3, 'measurements at each size'],
  seconds: [1, 'length of one measurement'],
  databases: [['postgres', 'embedded'], 'databases; on the embedded one only appends are measured'],
});
const sizes = options.full ? [...options.sizes, 1_000_000] : options.sizes;
const milliseconds = options.seconds * 1000;

const sizeOf = async (db) => (await db.query(`SELECT coalesce(max(id), 0) AS n FROM event`))[0].n;

/** The naive record answers in the same minute: what the machine itself became slower by shows there too. */
async function calls(load, { ours, naive, session }) {
  const rows = [];
  for (let round = 0; round < options.rounds; round++) {
    const yardstick = await load.ask({ urls: naive.urls, clients: 1, milliseconds, most: 300 });
    const before = ours.cpu();
    const result = await load.ask({ urls: ours.urls, clients: 1, milliseconds, session, most: 300 });
    const after = ours.cpu();
    if (result.errors > 0) throw new Error(`${result.errors} calls failed: ${result.error}`);
    const per = (what) => ((after[what] - before[what]) * 1000) / result.calls;
    rows.push({ p50: result.p50, ratio: result.p50 / yardstick.p50, node: per('node'), database: per('database') });
  }
  return (what) => median(rows.map((r) => r[what]));
}

/**
 * Appends beside plain INSERTs of the same rows into tables that hardly grow. Bounded, so that the measurement itself does not make a
 * small ledger a large one.
 */
async function appendsAt(size, { ledger, tools, appender, plain }) {
  const rows = [];
  const { database } = ledger;
  for (let round = 0; round < options.rounds; round++) {
    const plainOne = await plain(1, milliseconds, database);
    const one = await appends(appender, tools, { writers: 1, milliseconds, database, most: Math.max(100, size / 50) });
    const plainMany = await plain(64, milliseconds, database);
    const many = await appends(appender, tools, { writers: 64, milliseconds, database, most: Math.max(640, size / 20) });
    rows.push({ one: one.p50, oneRatio: one.p50 / plainOne.p50, many: many.rate, manyRatio: many.rate / plainMany.rate });
  }
  return ['one', 'oneRatio', 'many', 'manyRatio'].map((what) => median(rows.map((r) => r[what])));
}

/** `started`: null where only appends are measured. */
async function growLedger(mine, started, load) {
  const rows = [];
  const { db } = mine.ledger;
  for (const size of sizes) {
    const missing = size - (await sizeOf(db));
    if (missing > 1) await fill(mine.appender, mine.tools, missing, `fill-${size}`);
    if (started) await settled(started.ours, 600_000);
    const from = await sizeOf(db);
    const appended = await appendsAt(size, mine);
    if (started && from < 1000)
      for (const { urls } of Object.values(started)) await load.ask({ urls, clients: 8, milliseconds: 10_000, most: 1000 });
    if (started) await settled(started.ours, 600_000);
    const call = started ? await calls(load, started) : () => '-';
    progress(`${from} events: ${appended[2].toFixed(0)} appends/s`);
    rows.push([`${from} to ${await sizeOf(db)}`, ...appended, ...['p50', 'ratio', 'node', 'database'].map(call)]);
  }
  return rows;
}

const APPEND_HEADS = ['append p50 ms, 1 writer', '÷ plain INSERT', 'appends/s, 64 writers', '÷ plain INSERT of 64'];
const CALL_HEADS = ['call p50 ms, 1 client', '÷ naive', 'node µs/call', 'PG µs/call'];

async function growSession({ ledger }, started, load) {
  const rows = [];
  const session = 'one-long-session';
  const { urls } = started.ours;
  const length = async () => {
    const text = 'SELECT h.seq FROM session s JOIN stream_head h USING (stream) WHERE s.name = $1';
    return (await ledger.db.query(text, [session]))[0]?.seq ?? 0;
  };
  for (const size of options.session) {
    for (let missing = size - (await length()); missing > 0; missing = size - (await length())) {
      const { error } = await load.ask({ urls, clients: 8, milliseconds: 60_000, session, most: Math.ceil(missing / 2) });
      if (error) throw new Error(error);
    }
    await settled(started.ours, 600_000);
    const from = await length();
    const call = await calls(load, { ...started, session });
    progress(`${from} events in one session: p50 ${call('p50').toFixed(2)} ms`);
    rows.push([`${from} to ${await length()}`, ...['p50', 'ratio', 'node', 'database'].map(call)]);
  }
  return rows;
}

async function measure(kind) {
  const tools = await toolsOf(options);
  const spare = (await openLedger(options, kind)).db; // warms this process up, and holds the plain tables
  const plain = await plainInserts(spare, tools);
  await appends(new tools.Appender(spare), tools, { writers: 64, milliseconds: 3000 });
  for (const batch of [1, 64]) await plain(batch, 500);
  const ledger = await openLedger(options, kind);
  const mine = { ledger, tools, appender: new tools.Appender(ledger.db), plain };
  if (kind === 'embedded') {
    const grown = await growLedger(mine, null);
    printTable(
      'embedded: the ledger grows (appends only; no sequencer runs)',
      ['events', ...APPEND_HEADS],
      grown.map((r) => r.slice(0, 5)),
    );
    return;
  }
  const directory = await temporaryDirectory();
  const agent = await helper(new URL('./support/agent.server.mjs', import.meta.url));
  const load = await helper(new URL('./support/load.mjs', import.meta.url));
  const naive = await startVariant('naive', { options, agent: agent.ready.url, directory });
  // Started on the empty ledger and never again: it lives on with the plans it made then.
  const ours = await startVariant('postgres', { options, agent: agent.ready.url, directory, database: ledger.database });
  const grown = await growLedger(mine, { ours, naive }, load);
  printTable(`postgres: the ledger grows; medians of ${options.rounds}`, ['events', ...APPEND_HEADS, ...CALL_HEADS], grown);
  const long = await growSession(mine, { ours, naive }, load);
  printTable(`postgres: one session grows; medians of ${options.rounds}`, ['events in the session', ...CALL_HEADS], long);
}

await bench(async () => {
  for (const kind of options.databases) {
    await measure(kind).catch((error) => {
      note(`\n${kind} was NOT measured: ${error.stack}`);
      process.exitCode = 1;
    });
  }
});
