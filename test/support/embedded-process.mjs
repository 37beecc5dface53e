/**
 * A process beside the test, told what to do line by line on stdin and answering line by line on stdout, so that it can be killed at
 * any moment: `lock <dir> <at>` `release` `open <dir>` `write` (then a line per acknowledged row) `close`.
 */
import { createInterface } from 'node:readline';
import pg from 'pg';

const dist = new URL('../../dist/ledger/', import.meta.url);
const { lockDataDir } = await import(new URL('data-dir-lock.system.js', dist));
const say = (line) => process.stdout.write(`${line}\n`);
let lock;
let embedded;

const commands = {
  async lock(dir, at) {
    while (Date.now() < Number(at)); // all contenders leave at the same millisecond
    lock = await lockDataDir(dir);
    say('locked');
  },
  async release() {
    await lock.release();
    say('released');
  },
  async open(dir) {
    const { openEmbedded } = await import(new URL('embedded.system.js', dist));
    embedded = await openEmbedded(dir);
    say('opened');
  },
  async write() {
    const client = new pg.Client({ host: embedded.host, port: embedded.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    await client.query('CREATE TABLE IF NOT EXISTS written(n int PRIMARY KEY, text text)');
    const [{ last }] = (await client.query('SELECT coalesce(max(n), 0) AS last FROM written')).rows;
    for (let n = last + 1; ; n++) {
      await client.query({ name: 'w', text: 'INSERT INTO written VALUES ($1, $2)', values: [n, 'x'.repeat(300)] });
      say(n);
    }
  },
  async port(port) {
    await embedded.setHttpPort(Number(port));
    say('told');
  },
  /** Answers with the longest time in which no timer ran while the database was busy with one query, and how long that took. */
  async busy() {
    const client = new pg.Client({ host: embedded.host, port: embedded.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    let last = performance.now();
    let longest = 0;
    const meter = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    const began = performance.now();
    await client.query('SELECT count(*) FROM generate_series(1, 10000000)');
    const took = performance.now() - began;
    longest = Math.max(longest, performance.now() - last);
    clearInterval(meter);
    await client.end();
    say(`${Math.round(longest)} ${Math.round(took)}`);
  },
  async close() {
    await embedded.close();
    say('closed');
  },
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, ...args] = line.split(' ');
  commands[command](...args).catch((error) => say(`refused ${error.code} ${error.message}`));
});
process.stdin.on('end', () => process.exit());
say('ready');
