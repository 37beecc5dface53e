/** The load of plans.mjs: clients that have tasks of one shape done, by an orchestrator or by calling the agent themselves. */
import { Pool } from 'undici';
import { quantile } from './numbers.mjs';
import { serveParent } from './processes.mjs';

const TEXT = 'What is the weather like in Reykjavik tomorrow, and should I take an umbrella? '.repeat(2).trim();
const TASKS_PER_SESSION = 20;
let sessions = 0;

/** The bare alternative: who wants several answers calls the agent several times, and keeps no record. */
const BARE = {
  single: (ask) => ask(TEXT),
  parallel: (ask, steps) => Promise.all(Array.from({ length: steps }, () => ask(TEXT))),
  async chain(ask, steps) {
    let text = TEXT;
    for (let i = 0; i < steps; i++) ({ message: text } = await ask(text));
  },
};

const step = (text) => ({ capability: 'echo', parameters: { text } });
const planned = (mode, steps, textOf) => ({
  plan: { mode, max_parallel: steps, steps: Array.from({ length: steps }, (_, i) => step(textOf(i))) },
});
const BODY = {
  single: () => step(TEXT),
  parallel: (steps) => planned('parallel', steps, () => TEXT),
  chain: (steps) => planned('sequential', steps, (i) => (i === 0 ? TEXT : { $from: `step${i}.result.message` })),
};

async function post(pool, path, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body) });
  const value = await answer.body.json();
  if (answer.statusCode === 200 && value.success === true) return value.data;
  throw new Error(`HTTP ${answer.statusCode} ${JSON.stringify(value).slice(0, 300)}`);
}

/** Runs `clients` for `milliseconds`, each having one task done after the other. */
async function load({ url, bare, shape, steps, clients, milliseconds }) {
  const latencies = [];
  const errors = [];
  const started = performance.now();
  const one = async () => {
    const pool = new Pool(url, { connections: bare && shape === 'parallel' ? steps : 1, pipelining: 1 });
    const ask = (text) => post(pool, '/execute', { task_id: 'bench', capability: 'echo', parameters: { text }, context: {} });
    let session;
    for (let i = 0; performance.now() - started < milliseconds; i++) {
      if (i % TASKS_PER_SESSION === 0) session = `plans-${process.pid}-${++sessions}`;
      const at = performance.now();
      try {
        await (bare ? BARE[shape](ask, steps) : post(pool, '/v1/orchestrate', { session_id: session, ...BODY[shape](steps) }));
        latencies.push(performance.now() - at);
      } catch (error) {
        if (errors.push(error.message) > 50) break;
      }
    }
    await pool.close();
  };
  await Promise.all(Array.from({ length: clients }, one));
  const seconds = (performance.now() - started) / 1000;
  const rate = latencies.length / seconds;
  return {
    calls: latencies.length,
    rate,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    errors: errors.length,
    error: errors[0],
  };
}

serveParent(load);
process.send('ready');
