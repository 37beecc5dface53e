/** Events verified per second, alone and on several threads, beside what nobody can go below: hashing and parsing the same records. --help says more. */
import { hash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { fill, toolsOf } from './support/appending.mjs';
import { bench, built, openLedger } from './support/database.mjs';
import { median, note, printTable, progress } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';

const options = readOptions('Events verified per second, and the share of the bare limit.', {
  events: [50_000, 'events in the ledger, in sessions of 100'],
  rounds: [3, 'rounds; the variants take turns'],
  threads: [availableParallelism(), 'threads of the variant with several'],
  databases: [['postgres', 'embedded'], 'databases'],
});

const EVERYTHING =
  'SELECT e.*, l.hash AS leaf, (SELECT array_agg(p.bytes) FROM payload p WHERE p.event = e.id) AS payload FROM event e JOIN leaf l ON l.event = e.id';

async function timed(work) {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** SHA-256 of every record and payload, and JSON.parse of every record, out of memory. */
function hashAndParse(rows) {
  for (const { record, payload } of rows) {
    hash('sha256', record);
    JSON.parse(record);
    for (const bytes of payload ?? []) hash('sha256', bytes);
  }
}

async function measure(kind) {
  const tools = await toolsOf(options);
  const { db, database } = await openLedger(options, kind);
  const [{ verifyLedger }, { VerifyThreads }, { sequence }] = await Promise.all([
    built(options.root, 'audit/verify.postgres.js'),
    built(options.root, 'cli/verify-threads.system.js'),
    built(options.root, 'ledger/sequence.postgres.js'),
  ]);
  await fill(new tools.Appender(db), tools, options.events, 'verify');
  while ((await sequence(db, 0, 2000)).n > 0);
  const rows = await db.query(EVERYTHING);
  const threads = database ? new VerifyThreads({ DATABASE_URL: database.url, DATA_DIR: '', MASTER_KEY: 'off' }, options.threads) : null;
  const verify = async (manner) => {
    let last;
    for await (const said of verifyLedger(db, {}, manner)) last = said;
    if (last.verdict !== 'valid') throw new Error(`the verdict is ${last.verdict}: ${last.first?.what}`);
  };
  const variants = [
    ['bare: hash and parse', () => hashAndParse(rows)],
    ['bare: read the rows', () => db.query(EVERYTHING)],
    ['verify, one thread', () => verify({})],
    ...(threads ? [[`verify, ${options.threads} threads`, () => verify({ streams: (facts) => threads.streams(facts) })]] : []),
  ];
  const rates = variants.map(() => []);
  for (let round = 1; round <= options.rounds; round++) {
    for (const [i, [name, work]] of variants.entries()) {
      rates[i].push(rows.length / (await timed(work)));
      progress(`${kind}, round ${round}: ${name} ${rates[i].at(-1).toFixed(0)}/s`);
    }
  }
  await threads?.close();
  const bare = median(rates[0]);
  printTable(
    `${kind}: ${rows.length} events`,
    ['variant', 'events/s', 'share of hash and parse'],
    variants.map(([name], i) => [name, median(rates[i]), median(rates[i]) / bare]),
  );
}

await bench(async () => {
  for (const kind of options.databases) {
    await measure(kind).catch((error) => {
      note(`\n${kind} was NOT measured: ${error.message}`);
      process.exitCode = 1;
    });
  }
});
