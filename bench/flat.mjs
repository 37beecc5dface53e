/** Does one orchestration cost the same in a large ledger and in a long session? --help says more. */
import { appends, fill, newSession, toolsOf } from './support/appending.mjs';
import { bench, openLedger, temporaryDirectory } from './support/database.mjs';
import { median, note, printTable, progress, sleep } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';
import { helper } from './support/processes.mjs';
import { settled, startVariant } from './support/variants.mjs';

const options = readOptions('Cost of an append and of an orchestration as the ledger and one session grow.', {
  full: [false, 'up to 1 000 000 events (takes many minutes)'],
  sizes: [[1, 1000, 10_000, 100_000], 'events in the ledger'],
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
    const yardstick = await load.ask({ urls: naive.urls, clients: 1, milliseconds });
    const before = ours.cpu();
    const result = await load.ask({ urls: ours.urls, clients: 1, milliseconds, session });
    const after = ours.cpu();
    if (result.errors > 0) throw new Error(`${result.errors} calls failed: ${result.error}`);
    const per = (what) => ((after[what] - before[what]) * 1000) / result.calls;
    rows.push({ p50: result.p50, ratio: result.p50 / yardstick.p50, node: per('node'), database: per('database') });
  }
  return (what) => median(rows.map((r) => r[what]));
}

async function rounds(work) {
  const results = [];
  for (let round = 0; round < options.rounds; round++) results.push(await work());
  return (what) => median(results.map((r) => r[what]));
}

/** `started`: null where only appends are measured. */
async function growLedger({ ledger, tools, appender }, started, load) {
  const rows = [];
  for (const size of sizes) {
    const missing = size - (await sizeOf(ledger.db));
    if (missing > 1) await fill(appender, tools, missing, `fill-${size}`);
    if (started) await settled(started.ours, 600_000);
    const events = await sizeOf(ledger.db);
    const one = await rounds(() => appends(appender, tools, { writers: 1, milliseconds, database: ledger.database }));
    const many = await rounds(() => appends(appender, tools, { writers: 64, milliseconds, database: ledger.database }));
    if (started) await settled(started.ours, 600_000);
    const call = started ? await calls(load, started) : () => '-';
    progress(`${events} events: ${many('rate').toFixed(0)} appends/s`);
    rows.push([events, many('rate'), one('p50'), one('db'), ...['p50', 'ratio', 'node', 'database'].map(call)]);
  }
  return rows;
}

const HEADS = [
  'appends/s, 64 writers',
  'append p50 ms, 1 writer',
  'its database µs',
  'call p50 ms, 1 client',
  '÷ naive',
  'node µs/call',
  'PG µs/call',
];

async function growSession({ ledger, tools, appender }, started, load) {
  const rows = [];
  const name = 'one-long-session';
  const session = newSession(tools, name);
  let events = 0;
  for (const size of options.session) {
    while (events < size) {
      const contracts = Math.min(100, Math.ceil((size - events) / 2));
      const { refusal } = await appender.append(session.next(contracts));
      if (refusal) throw new Error(`refused: ${refusal.code}`);
      events += contracts * 2;
    }
    const call = await calls(load, { ...started, session: name });
    const [{ last }] = await ledger.db.query('SELECT seq AS last FROM stream_head WHERE stream = $1', [session.stream]);
    progress(`${events} events in one session: p50 ${call('p50').toFixed(2)} ms`);
    rows.push([`${events} to ${last}`, ...['p50', 'ratio', 'node', 'database'].map(call)]);
    events = last;
    appender = new tools.Appender(ledger.db); // the orchestrator has moved the head; a fresh appender looks first
  }
  return rows;
}

async function measure(kind) {
  const tools = await toolsOf(options);
  const ledger = await openLedger(options, kind);
  const mine = { ledger, tools, appender: new tools.Appender(ledger.db) };
  if (kind === 'embedded') {
    printTable(
      'embedded: the ledger grows (appends only; no sequencer runs)',
      ['events', ...HEADS.slice(0, 2)],
      (await growLedger(mine, null)).map((r) => r.slice(0, 3)),
    );
    return;
  }
  const directory = await temporaryDirectory();
  const agent = await helper(new URL('./support/agent.server.mjs', import.meta.url));
  const load = await helper(new URL('./support/load.mjs', import.meta.url));
  const naive = await startVariant('naive', { options, agent: agent.ready.url, directory });
  // Started on the empty ledger and never again: it lives on with the plans it made then.
  const ours = await startVariant('postgres', { options, agent: agent.ready.url, directory, database: ledger.database });
  for (const { urls } of [naive, ours]) await load.ask({ urls, clients: 8, milliseconds: 2000 });
  await sleep(500);
  const grown = await growLedger(mine, { ours, naive }, load);
  printTable(`postgres: the ledger grows; medians of ${options.rounds}`, ['events', ...HEADS], grown);
  const long = await growSession(mine, { ours, naive }, load);
  printTable(`postgres: one session grows; medians of ${options.rounds}`, ['events in the session', ...HEADS.slice(3)], long);
  note(
    `append p50 at the largest ÷ smallest size: ${(grown.at(-1)[2] / grown[0][2]).toFixed(2)}; call p50 ÷ naive: ${grown[0][5].toFixed(2)} → ${grown.at(-1)[5].toFixed(2)}`,
  );
}

await bench(async () => {
  for (const kind of options.databases) {
    await measure(kind).catch((error) => {
      note(`\n${kind} was NOT measured: ${error.stack}`);
      process.exitCode = 1;
    });
  }
});
