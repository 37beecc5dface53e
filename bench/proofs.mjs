/** Growing the tree, signing it, making and verifying proofs, beside hashing everything. --help says more. */
import { hash } from 'node:crypto';
import { bench, built, openLedger } from './support/database.mjs';
import { median, note, printTable, progress, quantile } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';

const options = readOptions('The tree over the leaves: growing, signing, proving. The leaves are made up; no events stand behind them.', {
  leaves: [1_000_000, 'leaves in the ledger'],
  proofs: [300, 'proofs of each kind'],
  databases: [['postgres', 'embedded'], 'databases'],
});

const AT_ONCE = 100_000;

/** As if they had been sequenced. */
async function addLeaves(db, from, to) {
  await db.query(
    `INSERT INTO leaf (idx, event, hash, sequenced_at, digest)
     SELECT i, i, sha256(i::text::bytea), '2026-11-20', '' FROM generate_series($1::bigint, $2::bigint - 1) i ON CONFLICT DO NOTHING`,
    [from, to],
  );
  await db.query('UPDATE sequencer SET size = $1', [to]);
}

async function timed(work) {
  const started = performance.now();
  const result = await work();
  return { result, ms: performance.now() - started };
}

/** The bare alternative: all leaves read and hashed to one root. */
async function rebuilt(db, size, { nodeHash }) {
  let row = [];
  for (let at = 0; at < size; at += AT_ONCE) {
    const rows = await db.query('SELECT hash FROM leaf WHERE idx >= $1 AND idx < $2 ORDER BY idx', [at, at + AT_ONCE]);
    for (const { hash: leaf } of rows) row.push(leaf);
  }
  while (row.length > 1) {
    const above = [];
    for (let i = 0; i + 1 < row.length; i += 2) above.push(nodeHash(row[i], row[i + 1]));
    if (row.length % 2 === 1) above.push(row.at(-1));
    row = above;
  }
  return row[0];
}

/** Hashes of nodes per second on one core, and nothing else. */
function bareHashes() {
  const node = Buffer.alloc(65, 1);
  const started = performance.now();
  for (let i = 0; i < 300_000; i++) hash('sha256', node, 'buffer');
  return 300_000 / ((performance.now() - started) / 1000);
}

async function measure(kind) {
  const [tree, treeDb, proofs, log, notes] = await Promise.all(
    ['ledger/tree.js', 'ledger/tree.postgres.js', 'ledger/tlog-proof.js', 'ledger/checkpoint.js', 'ledger/note.js'].map((path) =>
      built(options.root, path),
    ),
  );
  const { db } = await openLedger(options, kind);
  const key = notes.signerKey('bench.example/log', Buffer.alloc(32, 1));
  const known = [notes.verifierOf(key)];
  for (let at = 0; at < options.leaves; at += AT_ONCE) {
    await addLeaves(db, at, Math.min(options.leaves, at + AT_ONCE));
    progress(`${kind}: ${Math.min(options.leaves, at + AT_ONCE)} leaves`);
  }
  const grown = await timed(() => treeDb.growTree(db, options.leaves));
  const size = BigInt(options.leaves);
  const [root] = await treeDb.hashesOf(db, [{ start: 0n, end: size }], size);
  const all = await timed(() => rebuilt(db, options.leaves, tree));
  if (!all.result.equals(root)) throw new Error('the tree has another root than its leaves');
  const signed = await timed(() => log.signCheckpoint('bench.example/log', { size, root }, [key]));

  const made = [];
  const verified = [];
  const bytes = [];
  for (let i = 0; i < options.proofs; i++) {
    const index = BigInt(Math.floor((i * options.leaves) / options.proofs));
    const proof = await timed(() => treeDb.hashesOf(db, tree.inclusionRanges(index, size), size));
    const text = proofs.formatProof({ index, path: proof.result, checkpoint: signed.result, extra: null });
    const leaf = hash('sha256', String(index), 'buffer');
    const check = await timed(() => proofs.verifyProof(proofs.parseProof(text), leaf, known));
    made.push(proof.ms);
    verified.push(check.ms);
    bytes.push(Buffer.byteLength(text));
  }
  const consistent = [];
  for (let i = 1; i <= options.proofs; i++) {
    const from = BigInt(Math.floor((i * options.leaves) / (options.proofs + 1)));
    consistent.push((await timed(() => treeDb.hashesOf(db, tree.consistencyRanges(from, size), size))).ms);
  }
  const rate = (ms) => options.leaves / (ms / 1000);
  printTable(
    `${kind}: ${options.leaves} leaves`,
    ['what', 'per second', 'p50 ms', 'p99 ms', 'bytes'],
    [
      ['leaves grown into tiles', rate(grown.ms), '-', '-', '-'],
      ['bare: every leaf read and hashed to the root', rate(all.ms), all.ms, '-', '-'],
      ['bare: one node hashed, no database', bareHashes(), '-', '-', '-'],
      ['checkpoint signed', '-', signed.ms, '-', String(Buffer.byteLength(signed.result))],
      ['inclusion proof made', '-', median(made), quantile(made, 0.99), String(Math.max(...bytes))],
      ['inclusion proof verified, with its signature', '-', median(verified), quantile(verified, 0.99), '-'],
      ['consistency proof made', '-', median(consistent), quantile(consistent, 0.99), '-'],
    ],
  );
  note('bytes: of the whole .tlog-proof file without the record in it');
}

await bench(async () => {
  for (const kind of options.databases) {
    await measure(kind).catch((error) => {
      note(`\n${kind} was NOT measured: ${error.message}`);
      process.exitCode = 1;
    });
  }
});
