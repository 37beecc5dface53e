/** What calling an agent costs in each protocol: our adapter, the bare SDK or client, and a whole orchestration. --help says more. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CALLERS } from './support/callers.mjs';
import { bench, built, freshDatabase, temporaryDirectory } from './support/database.mjs';
import { median, note, printTable, progress, quantile } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';
import { example, orchestrator } from './support/processes.mjs';

const options = readOptions('The adapter of each protocol beside its bare SDK or client, calling the same agent in the same run.', {
  rounds: [5, 'rounds; every way is measured in every round'],
  seconds: [1, 'length of one measurement'],
  protocols: [Object.keys(CALLERS), 'protocols to measure'],
  clients: [1, 'calls at a time'],
});

/** Calls for a while; CPU is that of this process, garbage collection included, without the agent's. */
async function measure(call) {
  const latencies = [];
  const until = performance.now() + options.seconds * 1000;
  const cpu = process.cpuUsage();
  const one = async () => {
    while (performance.now() < until) {
      const from = performance.now();
      await call();
      latencies.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: options.clients }, one));
  const { user, system } = process.cpuUsage(cpu);
  return { cpu: (user + system) / latencies.length, p50: quantile(latencies, 0.5) };
}

/** Our adapter, connected as the registry connects it. */
async function adapted(protocol, url, { capability, parameters }) {
  const { Outgoing } = await built(options.root, 'integration/agents/outgoing.client.js');
  const { Protocols } = await built(options.root, 'integration/agents/protocols.client.js');
  const { Stop } = await built(options.root, 'agents/agent-client.js');
  const outgoing = new Outgoing(['loopback']);
  const spoken = new Protocols(outgoing).all.find(({ name }) => name === protocol);
  const { agents } = await spoken.discover(url, { stop: new Stop() });
  const client = spoken.connect(agents[0]);
  let calls = 0;
  const call = async () => {
    const task = { task_id: `bench-${++calls}`, capability, parameters, context: {} };
    const answer = await client.call(task, { stop: new Stop(), trace: null });
    if (!answer.success) throw new Error(`${protocol}: ${answer.message}`);
  };
  return { call, close: () => client.close().then(() => outgoing.close()) };
}

async function orchestrated(server, url, { capability, parameters }) {
  const post = async (path, body) => {
    const answer = await fetch(server + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (!answer.ok || told.success === false) throw new Error(JSON.stringify(told));
    return told;
  };
  const { agents } = await post('/v1/agents', { url });
  const body = { session_id: `bench-${agents[0].agent_id}`, agent_id: agents[0].agent_id, capability, parameters };
  return { call: () => post('/v1/orchestrate', body), close: () => undefined };
}

async function compare(protocol, server) {
  const caller = CALLERS[protocol];
  const url = await example(caller.example);
  const ways = { bare: await caller.bare(url), ours: await adapted(protocol, url, caller), whole: await orchestrated(server, url, caller) };
  const found = { bare: [], ours: [], whole: [] };
  for (const { call } of Object.values(ways)) await measure(call); // warm
  for (let round = 0; round < options.rounds; round++) {
    const names = Object.keys(ways);
    // Each round begins with another way, so that none always runs after the same neighbour.
    for (const name of names.map((_, i) => names[(i + round) % names.length])) found[name].push(await measure(ways[name].call));
  }
  for (const { close } of Object.values(ways)) await close();
  const of = (name, what) => median(found[name].map((r) => r[what]));
  const ratio = (what) => median(found.ours.map((r, i) => found.bare[i][what] / r[what]));
  progress(`${protocol}: CPU of bare ÷ ours ${ratio('cpu').toFixed(2)}`);
  return [
    `${protocol} (${caller.with})`,
    ...[of('bare', 'cpu'), of('ours', 'cpu'), ratio('cpu'), of('bare', 'p50'), of('ours', 'p50'), ratio('p50')],
    ...[of('whole', 'p50'), of('whole', 'p50') - of('ours', 'p50')],
  ];
}

await bench(async () => {
  const directory = await temporaryDirectory();
  const AGENTS_FILE = join(directory, 'agents.json');
  await writeFile(AGENTS_FILE, '{"agents": []}');
  const { url: DATABASE_URL } = await freshDatabase(options);
  const settings = { DATABASE_URL, AGENTS_FILE, PROBE_INTERVAL_SECONDS: '0', DISCOVERY_INTERVAL_SECONDS: '0' };
  const { url: server } = await orchestrator(options, settings);
  const rows = [];
  for (const protocol of options.protocols) rows.push(await compare(protocol, server));
  const heads = [
    'bare µs',
    'call() µs',
    'bare ÷ call()',
    'bare p50 ms',
    'call() p50 ms',
    'bare ÷ call()',
    'orchestration p50 ms',
    'added ms',
  ];
  printTable(
    `CPU and latency of one call, ${options.clients} at a time; medians of ${options.rounds} rounds of ${options.seconds} s`,
    ['protocol', ...heads],
    rows,
  );
  note('µs: CPU of the calling process. Goal: bare ÷ call() at least 0.8. Added: what the record, routing and HTTP put on top of call().');
});
