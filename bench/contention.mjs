/** One hot session written by several replicas at once: rate, share of attempts lost, and how long the unluckiest waits. --help says more. */
import { toolsOf } from './support/appending.mjs';
import { bench, openLedger } from './support/database.mjs';
import { median, note, printTable, progress, quantile } from './support/numbers.mjs';
import { readOptions } from './support/options.mjs';
import { helper } from './support/processes.mjs';

const options = readOptions('One hot session on PostgreSQL, written by several replicas (processes) at once.', {
  rounds: [3, 'rounds; every number of replicas is measured in every round'],
  seconds: [2, 'length of one measurement'],
  replicas: [[1, 2, 4], 'numbers of replicas'],
  writers: [16, 'writers per replica'],
});

async function measure(helpers, { db, stream }) {
  const message = { stream, writers: options.writers, milliseconds: options.seconds * 1000 };
  const results = await Promise.all(helpers.map((h) => h.ask(message)));
  const latencies = results.flatMap((r) => r.latencies);
  const sum = (what) => results.reduce((n, r) => n + r[what], 0);
  const [chain] = await db.query(
    `SELECT count(*) AS events, max(e.seq) AS last, h.seq AS head FROM event e JOIN stream_head h USING (stream) WHERE stream = $1 GROUP BY h.seq`,
    [stream],
  );
  if (chain.events !== latencies.length || chain.last !== chain.events || chain.head !== chain.last) {
    throw new Error(`${latencies.length} appends were acknowledged, but the stream holds ${JSON.stringify(chain)}`);
  }
  const perReplica = results.map((r) => r.latencies.length);
  return {
    rate: latencies.length / options.seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    max: quantile(latencies, 1),
    lost: (sum('lost') / (latencies.length + sum('lost'))) * 100,
    most: Math.max(...results.map((r) => r.most_losses)),
    refused: sum('refused'),
    error: results.find((r) => r.error)?.error,
    fairness: Math.min(...perReplica) / Math.max(...perReplica),
  };
}

await bench(async () => {
  const { db, database } = await openLedger(options, 'postgres');
  const { newId } = await toolsOf(options);
  const helpers = [];
  for (let i = 0; i < Math.max(...options.replicas); i++)
    helpers.push(await helper(new URL('./support/replica.mjs', import.meta.url), { options, url: database.url, poolSize: 10 }));
  const freshStream = () => ({ db, stream: `default/session/${newId()}` });
  await measure(helpers, freshStream()); // warm-up
  const found = new Map(options.replicas.map((n) => [n, []]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const n of options.replicas) {
      const result = await measure(helpers.slice(0, n), freshStream());
      found.get(n).push(result);
      progress(`round ${round}, ${n} replicas: ${result.rate.toFixed(0)}/s, ${result.lost.toFixed(1)} % lost, most losses ${result.most}`);
    }
  }
  printTable(
    `One session, ${options.writers} writers per replica, median of ${options.rounds} rounds of ${options.seconds} s (worst of all rounds where marked)`,
    [
      'replicas',
      'events/s',
      'p50 ms',
      'p99 ms',
      'longest ms (worst)',
      '% lost',
      'most losses (worst)',
      'answered 503',
      'least busy ÷ busiest replica',
    ],
    [...found].map(([n, results]) => {
      const middle = (what) => median(results.map((r) => r[what]));
      const worst = (what) => Math.max(...results.map((r) => r[what]));
      const refused = results.reduce((sum, r) => sum + r.refused, 0);
      return [
        String(n),
        middle('rate'),
        middle('p50'),
        middle('p99'),
        worst('max'),
        middle('lost'),
        String(worst('most')),
        String(refused),
        middle('fairness'),
      ];
    }),
  );
  const most = Math.max(...[...found.values()].flat().map((r) => r.most));
  note(
    `most losses of one request: ${most} (goal: tried at most 5 times, so at most 4); every stream was counted afterwards: gapless, nothing missing`,
  );
  for (const error of new Set([...found.values()].flat().flatMap((r) => r.error ?? []))) note(`refused: ${error}`);
});
