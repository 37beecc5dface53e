/** What forwarding to Trace costs the orchestrations, and how fast it is. --help says more. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { fill, toolsOf } from './support/appending.mjs';
import { atEnd, bench, built, freshDatabase, openLedger, temporaryDirectory } from './support/database.mjs';
import { median, note, printTable, progress, sleep } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';
import { cpuOf, helper, orchestrator, stop } from './support/processes.mjs';
import { writeAgentsFile } from './support/variants.mjs';

const options = readOptions(
  'Orchestrations with Trace off, healthy and dead, at saturation and at half of that; then how fast a backlog is forwarded.',
  {
    rounds: [5, 'rounds; every variant is measured in every round'],
    seconds: [3, 'length of one measurement'],
    warm: [3, 'seconds of warm-up per variant'],
    clients: [32, 'clients'],
    variants: [['off', 'again', 'healthy', 'dead'], 'what to compare; again is off once more: how far two of the same differ'],
    backlog: [100_000, 'events to catch up with'],
  },
);

const TRACE = fileURLToPath(new URL('../examples/trace-server/server.mjs', import.meta.url));
const DEAD = 'http://127.0.0.1:9'; // the port "discard": nobody listens

/** The example Trace in a process of its own. It stands for another machine: what it costs on this one shall not count as ours, so it goes last. */
async function startTrace() {
  const child = spawn('nice', ['-n', '19', process.execPath, TRACE], {
    env: { PATH: process.env.PATH, PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  atEnd(() => stop(child));
  const url = await new Promise((done, fail) => {
    child.once('exit', () => fail(new Error('the Trace ended before it listened')));
    child.stdout.on('data', (text) => /http:\S+/.test(text) && done(/http:\S+/.exec(text)[0]));
  });
  return { url, pid: child.pid };
}

const statusOf = async (url) => (await fetch(`${url}/v1/status`)).json();

/** Until forwarding has caught up, so that its work is not charged to the next measurement; returns how long that took. */
async function caughtUp({ name, url }, patience = 60_000) {
  const since = performance.now();
  while (performance.now() - since < patience) {
    const { ledger, integrations } = await statusOf(url);
    if (ledger.pending === 0 && (name !== 'healthy' || integrations.trace.lag === 0)) break;
    await sleep(50);
  }
  return performance.now() - since;
}

async function measure(variant, load, more = {}) {
  const before = cpuOf(variant.pid);
  const { delivered: had = 0 } = (await statusOf(variant.url)).integrations.trace;
  const result = await load.ask({ urls: [variant.url], clients: options.clients, milliseconds: options.seconds * 1000, ...more });
  const { delivered = 0, lag = 0 } = (await statusOf(variant.url)).integrations.trace;
  const node = ((cpuOf(variant.pid) - before) * 1000) / result.calls;
  return { ...result, node, lag, forwarded: (delivered - had) / result.seconds, catchUp: await caughtUp(variant) };
}

async function compare(load, agents, trace) {
  const variants = [];
  for (const name of options.variants) {
    const database = await freshDatabase(options);
    const TRACE_URL = { off: 'off', again: 'off', healthy: trace.url, dead: DEAD }[name];
    const started = await orchestrator(options, { DATABASE_URL: database.url, AGENTS_FILE: agents, TRACE_URL });
    const variant = { name, ...started };
    await measure(variant, load, { milliseconds: options.warm * 1000 });
    variants.push(variant);
  }
  const saturated = await rounds(variants, load, {}, 'saturation');
  const rate = median(saturated.get('off').map((r) => r.rate)) / 2;
  const half = await rounds(variants, load, { rate }, 'half load');
  report(`saturation, ${options.clients} clients`, variants, saturated);
  report(`half load, ${rate.toFixed(0)} calls/s`, variants, half);
  note('\nRatios to off, round by round: median (from – to). The goals: dead at saturation at least 0.95, all at half load like again.');
  for (const { name } of variants.filter(({ name }) => name !== 'off')) {
    const of = (found, what) => spread(found.get(name).map((r, i) => r[what] / found.get('off')[i][what]));
    note(`${name.padEnd(8)} saturation: rate ${of(saturated, 'rate')}; half load: p50 ${of(half, 'p50')}, p99 ${of(half, 'p99')}`);
  }
  for (const { child } of variants) await stop(child);
}

const spread = (ratios) => {
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  return `${median(ratios).toFixed(2)} (${least.toFixed(2)} – ${most.toFixed(2)})`;
};

async function rounds(variants, load, more, title) {
  const found = new Map(variants.map(({ name }) => [name, []]));
  for (let round = 1; round <= options.rounds; round++) {
    for (let i = 0; i < variants.length; i++) {
      const variant = variants[(i + round) % variants.length];
      const result = await measure(variant, load, more);
      found.get(variant.name).push(result);
      progress(
        `${title}, round ${round}, ${variant.name}: ${result.rate.toFixed(0)}/s, p50 ${result.p50.toFixed(2)} ms, p99 ${result.p99.toFixed(2)} ms`,
      );
    }
  }
  return found;
}

function report(title, variants, found) {
  printTable(
    `${title}, median of ${options.rounds} rounds of ${options.seconds} s`,
    ['Trace', 'calls/s', '÷ off', 'p50 ms', 'p99 ms', 'node µs/call', 'forwarded/s', 'lag at the end', 'caught up ms', 'errors'],
    variants.map(({ name }) => {
      const own = found.get(name);
      const middle = (what) => median(own.map((r) => r[what]));
      const against = median(own.map((r, i) => r.rate / (found.get('off')?.[i]?.rate ?? Number.NaN)));
      const errors = own.reduce((sum, r) => sum + r.errors, 0);
      return [
        name,
        middle('rate'),
        against,
        middle('p50'),
        middle('p99'),
        ...['node', 'forwarded', 'lag', 'catchUp'].map(middle),
        String(errors),
      ];
    }),
  );
}

/** A ledger that is full before Trace is connected; the follower is put at its beginning, as if it had been away all the time. */
async function catchUp(agents, trace) {
  const { db, database } = await openLedger(options, 'postgres');
  const tools = await toolsOf(options);
  const { Sequencer } = await built(options.root, 'ledger/sequence.worker.js');
  await fill(new tools.Appender(db), tools, options.backlog, 'backlog');
  const sequencer = new Sequencer(db);
  for (let left = 1; left > 0; ) {
    await sequencer.drain();
    [{ left }] = await db.query('SELECT count(*) AS left FROM pending');
  }
  const [{ events }] = await db.query('SELECT size AS events FROM sequencer');
  await db.query(`INSERT INTO follower (name, cursor) VALUES ('trace', -1)`);
  const { pid, url } = await orchestrator(options, { DATABASE_URL: database.url, AGENTS_FILE: agents, TRACE_URL: trace.url });
  const [since, ours, theirs] = [performance.now(), cpuOf(pid), cpuOf(trace.pid)];
  await caughtUp({ name: 'healthy', url }, 600_000);
  const seconds = (performance.now() - since) / 1000;
  const each = (milliseconds) => (milliseconds * 1000) / events;
  printTable(
    'Catching up, each event and each node one request',
    ['events', 'seconds', 'events/s', 'node µs/event', 'Trace µs/event'],
    [[events, seconds, events / seconds, each(cpuOf(pid) - ours), each(cpuOf(trace.pid) - theirs)]],
  );
}

await bench(async () => {
  const agent = await helper(new URL('./support/agent.server.mjs', import.meta.url));
  const load = await helper(new URL('./support/load.mjs', import.meta.url));
  const agents = await writeAgentsFile(await temporaryDirectory(), agent.ready.url);
  const trace = await startTrace();
  await compare(load, agents, trace);
  await catchUp(agents, trace);
});
