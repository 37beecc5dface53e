/** Orchestrations per second beside a bare pass-through and beside the naive record, in interleaved rounds. --help says more. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { bench, temporaryDirectory } from './support/database.mjs';
import { median, note, printTable, progress } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';
import { helper, stop } from './support/processes.mjs';
import { monotonicMicros, readProfiles } from './support/profile.mjs';
import { MEANING, settled, startVariant } from './support/variants.mjs';

const options = readOptions('Orchestrations per second and their latency, beside what people would write without us.', {
  rounds: [5, 'rounds; every variant is measured in every round'],
  seconds: [2, 'length of one measurement'],
  warm: [3, 'seconds of warm-up per variant'],
  clients: [[1, 32], 'numbers of clients'],
  variants: [Object.keys(MEANING), 'what to compare'],
  profile: [false, 'profile the orchestrator instead, with the largest number of clients, on the databases --variants names'],
  keep: ['', 'with --profile: directory for the .cpuprofile'],
});

const GOALS_ALONE = [['postgres', 'naive', 'p50', 'at most 1.5']];
const GOALS = [
  ['postgres', 'naive', 'rate', 'at least 1.0'],
  ['embedded', 'postgres', 'rate', 'at least 0.5'],
  ['postgres', 'unsigned', 'rate', 'at least 0.9'],
  ['postgres', 'unsealed', 'rate', 'at least 0.9'],
  ['postgres', 'unproven', 'rate', 'at least 0.9'],
];

/** One measurement, with the CPU it cost on both sides. */
async function measure(variant, load, clients, seconds) {
  const before = variant.cpu();
  const result = await load.ask({ urls: variant.urls, clients, milliseconds: seconds * 1000 });
  const lag = await settled(variant);
  const after = variant.cpu();
  const each = (used) => (used * 1000) / result.calls;
  const [node, db] = [each(after.node - before.node), each(after.database - before.database)];
  return { ...result, lag, node, db, cpu: node + db };
}

async function start(names, agent, load) {
  const directory = await temporaryDirectory();
  const variants = [];
  for (const name of names) {
    progress(`starting ${name}: ${MEANING[name]}`);
    try {
      const variant = await startVariant(name, { options, agent: agent.ready.url, directory });
      const warm = await measure(variant, load, Math.max(...options.clients), options.warm);
      if (warm.calls === 0) throw new Error(`no call succeeded: ${warm.error}`);
      variants.push(variant);
    } catch (error) {
      note(`\n${name} was NOT measured: ${error.message}`);
    }
  }
  return variants;
}

async function compare(agent, load) {
  const variants = await start(options.variants, agent, load);
  const found = new Map();
  for (let round = 1; round <= options.rounds; round++) {
    for (const clients of options.clients) {
      // Each round begins with another variant, so that none always runs after the same neighbour.
      const order = variants.map((_, i) => variants[(i + round) % variants.length]);
      for (const variant of order) {
        const result = await measure(variant, load, clients, options.seconds);
        progress(`round ${round}, ${clients} clients, ${variant.name}: ${result.rate.toFixed(0)}/s, p50 ${result.p50.toFixed(2)} ms`);
        const key = `${variant.name} ${clients}`;
        found.set(key, [...(found.get(key) ?? []), result]);
      }
    }
  }
  for (const clients of options.clients) report(variants, clients, (name) => found.get(`${name} ${clients}`));
}

function report(variants, clients, of) {
  const ratio = (name, against, what) => median((of(name) ?? []).map((r, i) => r[what] / (of(against)?.[i]?.[what] ?? Number.NaN)));
  printTable(
    `${clients} ${clients === 1 ? 'client' : 'clients'}, median of ${options.rounds} rounds of ${options.seconds} s`,
    ['variant', 'calls/s', '÷ naive', 'p50 ms', '÷ naive', 'p99 ms', 'node µs/call', 'PG µs/call', 'CPU ÷ naive', 'catch-up ms', 'errors'],
    variants.map(({ name }) => {
      const middle = (what) => median(of(name).map((r) => r[what]));
      const errors = of(name).reduce((sum, r) => sum + r.errors, 0);
      const speed = [middle('rate'), ratio(name, 'naive', 'rate'), middle('p50'), ratio(name, 'naive', 'p50'), middle('p99')];
      return [name, ...speed, middle('node'), middle('db'), ratio(name, 'naive', 'cpu'), middle('lag'), String(errors)];
    }),
  );
  for (const [name, against, what, goal] of clients === 1 ? GOALS_ALONE : GOALS) {
    if (of(name) && of(against)) note(`${what} of ${name} ÷ ${against}: ${ratio(name, against, what).toFixed(2)} (goal: ${goal})`);
  }
  const failed = variants.flatMap(({ name }) =>
    of(name)
      .filter((r) => r.error)
      .map((r) => `${name}: ${r.error}`),
  );
  for (const line of new Set(failed)) note(line);
}

async function profile(agent, load) {
  const directory = await temporaryDirectory();
  const clients = Math.max(...options.clients);
  for (const name of options.variants.filter((v) => v === 'postgres' || v === 'embedded')) {
    const into = join(options.keep || directory, name);
    await mkdir(into, { recursive: true });
    const variant = await startVariant(name, { options, agent: agent.ready.url, directory, profile: into });
    await measure(variant, load, clients, options.warm);
    const from = monotonicMicros();
    const result = await measure(variant, load, clients, options.seconds * options.rounds);
    const to = monotonicMicros();
    await stop(variant.processes[0].child);
    note(`\nProfile of the orchestrator, ${name}, ${clients} clients: ${result.rate.toFixed(0)} calls/s while profiled`);
    for (const { thread, total, busy, top } of await readProfiles(into, from, to)) {
      if (total === 0) continue;
      note(`\n### Thread ${thread}: ${((busy / total) * 100).toFixed(0)} % busy, ${(busy / result.calls).toFixed(0)} µs per call`);
      const rows = (what) => top(what, 25).map(([place, micros]) => [place, (micros / busy) * 100, micros / result.calls]);
      printTable('By function (self time)', ['function', '% of busy', 'µs/call'], rows('function'));
      printTable('By package or file (self time)', ['place', '% of busy', 'µs/call'], rows('place'));
      printTable('By nearest caller in dist/', ['caller', '% of busy', 'µs/call'], rows('caller'));
    }
  }
}

await bench(async () => {
  const agent = await helper(new URL('./support/agent.server.mjs', import.meta.url));
  const load = await helper(new URL('./support/load.mjs', import.meta.url));
  await (options.profile ? profile(agent, load) : compare(agent, load));
});
