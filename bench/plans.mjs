/** One call, several at once and a chain of them under one task, beside the same calls made without us, in interleaved rounds. --help says more. */
import { bench, temporaryDirectory } from './support/database.mjs';
import { median, note, printTable, progress } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';
import { helper } from './support/processes.mjs';
import { settled, startVariant } from './support/variants.mjs';

const options = readOptions(
  'Tasks per second and their latency: single calls, parallel plans and chains, beside calling the agent directly.',
  {
    rounds: [5, 'rounds; everything is measured in every round'],
    seconds: [2, 'length of one measurement'],
    warm: [2, 'seconds of warm-up per variant and shape'],
    clients: [[1, 8], 'numbers of clients'],
    steps: [10, 'calls in a plan'],
    variants: [['postgres', 'embedded'], 'orchestrators to measure'],
  },
);

const SHAPES = ['single', 'parallel', 'chain'];

await bench(async () => {
  const agent = await helper(new URL('./support/agent.server.mjs', import.meta.url));
  const load = await helper(new URL('./support/plan-load.mjs', import.meta.url));
  const directory = await temporaryDirectory();
  const variants = [{ name: 'bare', urls: [agent.ready.url], recording: false }];
  for (const name of options.variants) {
    progress(`starting ${name}`);
    variants.push(await startVariant(name, { options, agent: agent.ready.url, directory }));
  }
  const measure = async ({ name, urls, recording }, shape, clients, seconds) => {
    const result = await load.ask({
      url: urls[0],
      bare: name === 'bare',
      shape,
      steps: options.steps,
      clients,
      milliseconds: seconds * 1000,
    });
    await settled({ recording, urls });
    return result;
  };
  const most = Math.max(...options.clients);
  for (const variant of variants) for (const shape of SHAPES) await measure(variant, shape, most, options.warm);
  const found = new Map();
  for (let round = 1; round <= options.rounds; round++) {
    for (const clients of options.clients) {
      for (const shape of SHAPES) {
        // Each round begins with another variant, so that none always runs after the same neighbour.
        for (const [i] of variants.entries()) {
          const variant = variants[(i + round) % variants.length];
          const result = await measure(variant, shape, clients, options.seconds);
          progress(
            `round ${round}, ${clients} clients, ${shape}, ${variant.name}: ${result.rate.toFixed(0)}/s, p50 ${result.p50.toFixed(2)} ms`,
          );
          const key = `${clients} ${shape} ${variant.name}`;
          found.set(key, [...(found.get(key) ?? []), result]);
        }
      }
    }
  }
  for (const clients of options.clients) report(clients, variants, (shape, name) => found.get(`${clients} ${shape} ${name}`));
});

function report(clients, variants, of) {
  const rows = SHAPES.flatMap((shape) =>
    variants.map(({ name }) => {
      const results = of(shape, name);
      const middle = (what) => median(results.map((r) => r[what]));
      const more = median(results.map((r, i) => r.p50 - of(shape, 'bare')[i].p50));
      const calls = shape === 'single' ? 1 : options.steps;
      const errors = results.reduce((sum, r) => sum + r.errors, 0);
      return [shape, name, middle('rate'), middle('rate') * calls, middle('p50'), middle('p99'), more / calls, String(errors)];
    }),
  );
  printTable(
    `${clients} ${clients === 1 ? 'client' : 'clients'}, ${options.steps} calls in a plan, median of ${options.rounds} rounds of ${options.seconds} s`,
    ['task', 'by', 'tasks/s', 'agent calls/s', 'p50 ms', 'p99 ms', 'ms more per call', 'errors'],
    rows,
  );
  for (const shape of SHAPES)
    for (const { name } of variants) for (const { error } of of(shape, name)) if (error) note(`${shape}, ${name}: ${error}`);
}
