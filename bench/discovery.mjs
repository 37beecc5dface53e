/** Discovery of many agents: how long it takes, and what memory it takes. --help says more. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'undici';
import { bench, freshDatabase, temporaryDirectory } from './support/database.mjs';
import { note, printTable, progress } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';
import { cpuOf, helper, orchestrator } from './support/processes.mjs';

const options = readOptions(
  'Time and memory of finding agents through a list, beside bare GETs of their documents, 16 at a time as well.',
  {
    agents: [1000, 'agents in the list'],
    protocols: [['http', 'a2a'], 'what they speak: http, a2a'],
  },
);

const AT_ONCE = 16;
const RESIDENT = /VmRSS:\s+(\d+)/;
const megabytes = (pid) => Number(RESIDENT.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

/** What nobody can do without: each document once. */
async function bare({ origin, documents }) {
  const pool = new Pool(origin, { connections: AT_ONCE });
  const from = performance.now();
  const rest = [...documents];
  const one = async () => {
    for (let path = rest.pop(); path; path = rest.pop()) await (await pool.request({ method: 'GET', path })).body.json();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  const milliseconds = performance.now() - from;
  await pool.close();
  return milliseconds;
}

async function compare(protocol) {
  const peer = await helper(new URL('./support/many-agents.server.mjs', import.meta.url), { protocol, agents: options.agents });
  const AGENTS_FILE = join(await temporaryDirectory(), 'agents.json');
  await writeFile(AGENTS_FILE, JSON.stringify({ agents: [], registries: [peer.ready.list] }));
  const { url: DATABASE_URL } = await freshDatabase(options);
  const settings = { DATABASE_URL, AGENTS_FILE, PROBE_INTERVAL_SECONDS: '0', DISCOVERY_INTERVAL_SECONDS: '0' };
  const { url, pid } = await orchestrator(options, settings);
  const refresh = async () => {
    const [from, cpu] = [performance.now(), cpuOf(pid)];
    const answer = await fetch(`${url}/v1/agents/refresh`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
    const [{ agents, errors }] = (await answer.json()).looked;
    if (agents.length !== options.agents) throw new Error(`${agents.length} agents, ${errors[0]}`);
    progress(`${protocol}: ${agents.length} agents in ${(performance.now() - from).toFixed(0)} ms`);
    return { seconds: (performance.now() - from) / 1000, cpu: (cpuOf(pid) - cpu) / 1000, resident: megabytes(pid) };
  };
  const before = megabytes(pid);
  const plain = await bare(peer.ready);
  const [first, again] = [await refresh(), await refresh()];
  const row = (what, { seconds, cpu, resident }) => [`${protocol}, ${what}`, seconds, cpu, resident, resident - before];
  return [[`${protocol}, bare GETs`, plain / 1000, '-', '-', '-'], row('all of them new', first), row('looked at again', again)];
}

await bench(async () => {
  const rows = [];
  for (const protocol of options.protocols) rows.push(...(await compare(protocol)));
  const heads = ['seconds', 'CPU seconds', 'resident MiB', 'more than before MiB'];
  printTable(`Discovery of ${options.agents} agents through one list`, ['', ...heads], rows);
  note(
    'Of an agent that is new its document, description and registration are written to the ledger. CPU and memory are those of the orchestrator.',
  );
});
