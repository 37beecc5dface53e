/** A long session as a bundle: how long to export, pack and check it, how large it is, and what it takes in memory. --help says more. */
import { hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { newSession, toolsOf } from './support/appending.mjs';
import { bench, built, openLedger, temporaryDirectory } from './support/database.mjs';
import { median, printTable, progress } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';

const options = readOptions('Export, pack and check the bundle of one session.', {
  contracts: [10_000, 'contracts in the session'],
  rounds: [3, 'rounds'],
  database: ['postgres', 'postgres or embedded'],
});

const MB = 1024 * 1024;

/** Seconds it took, and by how much the process was larger meanwhile. */
async function measured(work) {
  const before = process.memoryUsage().rss;
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss);
  }, 20);
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  clearInterval(watch);
  return { seconds, memory: (Math.max(most, process.memoryUsage().rss) - before) / MB };
}

async function sizeOf(path) {
  const found = await stat(path);
  if (!found.isDirectory()) return found.size / MB;
  let sum = 0;
  for (const name of await readdir(path, { recursive: true })) {
    const one = await stat(join(path, name));
    if (one.isFile()) sum += one.size;
  }
  return sum / MB;
}

/** Records and payload of the session as lines of a file, without any proof. */
async function plainDump(db, stream, path) {
  const file = createWriteStream(path);
  const rows = await db.query(
    'SELECT e.record, (SELECT array_agg(p.bytes) FROM payload p WHERE p.event = e.id) AS payload FROM event e WHERE e.stream = $1 ORDER BY e.seq',
    [stream],
  );
  for (const { record, payload } of rows) file.write(`${record}\n${(payload ?? []).join('\n')}\n`);
  await new Promise((done) => file.end(done));
}

async function hashAndParse(directory) {
  for (const name of ['records.ndjson', 'disclosures.ndjson']) {
    for await (const line of createInterface({ input: createReadStream(join(directory, name)) })) {
      hash('sha256', line);
      JSON.parse(line);
    }
  }
}

async function signed(db, appender) {
  const [{ LogEpochs }, { CheckpointSigner }, { signerKey }, { sequence }] = await Promise.all([
    built(options.root, 'ledger/log-epoch.postgres.js'),
    built(options.root, 'ledger/signer.postgres.js'),
    built(options.root, 'ledger/note.js'),
    built(options.root, 'ledger/sequence.postgres.js'),
  ]);
  while ((await sequence(db, 0, 2000)).n > 0);
  const keys = [signerKey('bench/log', Buffer.alloc(32, 1))];
  const epochs = new LogEpochs(db, appender, { wanted: 'bench/log', keys, keyFile: '' }, null);
  const signer = new CheckpointSigner(db, epochs, keys, null);
  for (let round = await signer.sign(0); !round?.now; round = await signer.sign(0));
}

await bench(async () => {
  const tools = await toolsOf(options);
  const { db } = await openLedger(options, options.database);
  const [{ evidenceOf }, { writeBundle }, { packBundle }, { verifyBundle }] = await Promise.all([
    built(options.root, 'audit/export/evidence.postgres.js'),
    built(options.root, 'audit/export/bundle.system.js'),
    built(options.root, 'audit/export/archive.system.js'),
    built(options.root, 'audit/bundle/verify.mjs'),
  ]);
  const appender = new tools.Appender(db);
  const session = newSession(tools, 'long');
  for (let left = options.contracts; left > 0; left -= 50) await appender.append(session.next(Math.min(50, left)), 60_000);
  await appender.append({ stream: session.stream, drafts: [tools.newDraft('session.closed', { reason: 'requested' })] }, 60_000);
  await signed(db, appender);
  const scratch = await temporaryDirectory();
  const [directory, archive, dump] = ['bundle', 'bundle.tar.gz', 'dump'].map((name) => join(scratch, name));
  const request = { tenant: 'default', what: { session: 'long' }, only: null, proveAll: false, known: [] };
  const variants = [
    ['bare: SELECT and write', () => plainDump(db, session.stream, dump), dump],
    ['export', () => writeBundle(directory, evidenceOf({ db, madeBy: 'bench' }, request)), directory],
    ['pack to .tar.gz', () => packBundle(directory, archive), archive],
    ['bare: hash and parse', () => hashAndParse(directory), null],
    [
      'verify.mjs',
      async () => {
        const { verdict, first } = await verifyBundle(directory);
        if (verdict !== 'valid') throw new Error(`the bundle is ${verdict}: ${first.what}`);
      },
      null,
    ],
  ];
  const rows = variants.map(() => ({ seconds: [], memory: [], size: Number.NaN }));
  for (let round = 1; round <= options.rounds; round++) {
    await rm(directory, { recursive: true, force: true });
    for (const [i, [name, work, made]] of variants.entries()) {
      const { seconds, memory } = await measured(work);
      rows[i].seconds.push(seconds);
      rows[i].memory.push(memory);
      if (made) rows[i].size = await sizeOf(made);
      progress(`round ${round}: ${name} ${seconds.toFixed(2)} s`);
    }
  }
  printTable(
    `${options.database}: a session of ${options.contracts} contracts`,
    ['', 'seconds', 'contracts/s', 'MB on disk', 'MB of memory more'],
    variants.map(([name], i) => {
      const seconds = median(rows[i].seconds);
      return [name, seconds, options.contracts / seconds, rows[i].size, median(rows[i].memory)];
    }),
  );
});
