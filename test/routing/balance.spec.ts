import fc from 'fast-check';
import { BALANCING, compare, type Place, placeOf, type Share, Turns } from '../../src/routing/balance.js';

/** Gives `calls` calls out one after the other, and counts who got them. */
function serve(weights: Record<string, number>, calls: number, turns = new Turns()): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries(Object.keys(weights).map((id) => [id, 0]));
  for (let i = 0; i < calls; i++) {
    const [next] = Object.entries(weights)
      .map(([id, weight]) => ({ id, weight, turn: turns.of('x', id, weight) }))
      .sort((a, b) => compare('weighted_round_robin', { score: a.turn, turn: a.turn }, { score: b.turn, turn: b.turn }));
    counts[next!.id]! += 1;
    turns.took('x', { agentId: next!.id, weight: next!.weight }, Object.keys(weights));
  }
  return counts;
}

describe('turns', () => {
  it('go round', () => {
    expect(serve({ a: 1, b: 1, c: 1 }, 300)).toEqual({ a: 100, b: 100, c: 100 });
  });

  it('keep to the weights within 5 % over 10 000 calls', () => {
    const weight = fc.oneof(fc.integer({ min: 1, max: 1000 }), fc.double({ min: 0.1, max: 10, noNaN: true }));
    fc.assert(
      fc.property(fc.array(weight, { minLength: 2, maxLength: 6 }), (all) => {
        const weights = Object.fromEntries(all.map((w, i) => [`a${i}`, w]));
        const sum = all.reduce((a, b) => a + b, 0);
        const counts = serve(weights, 10_000);
        for (const [id, w] of Object.entries(weights)) {
          const fair = (10_000 * w) / sum;
          expect(Math.abs(counts[id]! - fair)).toBeLessThanOrEqual(Math.max(0.05 * fair, 2));
        }
      }),
      { numRuns: 8 },
    );
  });

  it('never give anything to a weight of 0 beside others', () => {
    expect(serve({ a: 0, b: 1 }, 10)).toEqual({ a: 0, b: 10 });
    expect(serve({ a: 0 }, 3)).toEqual({ a: 3 });
  });

  it('are not saved up by who comes back', () => {
    const turns = new Turns();
    serve({ a: 1, b: 1 }, 1000, turns);
    expect(serve({ a: 1, b: 1, back: 1 }, 30, turns)).toEqual({ a: 10, b: 10, back: 10 });
  });

  it('count for all capabilities together where they share a group', () => {
    const turns = new Turns();
    for (let i = 0; i < 10; i++) turns.took('all', { agentId: 'a', weight: 1 }, ['a', 'b']);
    turns.took('all', { agentId: 'c', weight: 1 }, ['c', 'd']); // what a has had is not forgotten over it
    expect(turns.of('all', 'a', 1)).toBeGreaterThan(turns.of('all', 'b', 1));
  });

  it('are counted for each group by itself', () => {
    const turns = new Turns();
    turns.took('x', { agentId: 'a', weight: 1 }, ['a']);
    expect([turns.of('x', 'a', 1), turns.of('y', 'a', 1)]).toEqual([2, 1]);
  });
});

const share = (more: Partial<Share> = {}): Share => ({
  turn: 1,
  running: { here: 0, elsewhere: 0, replicas: 1 },
  capacity: undefined,
  ways: null,
  health: 1,
  ...more,
});

describe('the place of an agent', () => {
  it('by score is 0.3 latency + 0.3 success + 0.2 load + 0.2 health, latency on a scale of 10 s', () => {
    const score = (more: Partial<Share>) => placeOf('score', share(more)).score;
    expect(score({})).toBe(1);
    expect(
      score({ ways: { latencyMs: 5000, success: 0.5 }, capacity: 4, running: { here: 1, elsewhere: 1, replicas: 2 }, health: 0.5 }),
    ).toBe(0.5);
    expect(
      score({ ways: { latencyMs: 60_000, success: 0 }, capacity: 1, running: { here: 9, elsewhere: 0, replicas: 1 }, health: 0 }),
    ).toBe(0);
  });

  it.each([
    [15, 2],
    [16, 3],
    [47, 4],
  ])('by connections is what runs here, and one more for every four a replica elsewhere: %d of them', (elsewhere, score) => {
    expect(placeOf('least_connections', share({ running: { here: 2, elsewhere, replicas: 4 }, turn: 3 }))).toEqual({ score, turn: 3 });
  });

  it.each(BALANCING)('by %s is decided by turn where the scores are the same', (balancing) => {
    const [a, b]: Place[] = [
      { score: 1, turn: 2 },
      { score: 1, turn: 1 },
    ];
    expect(compare(balancing, a!, b!)).toBeGreaterThan(0);
    expect(compare(balancing, a!, a!)).toBe(0);
    const never = { score: Number.POSITIVE_INFINITY, turn: Number.POSITIVE_INFINITY };
    expect(compare(balancing, never, never)).toBe(0);
  });
});

/** Replicas that hear of each other only now and then, and calls that take about as long as each other: no clock but the steps of this loop. */
function simulate({ replicas, agents, steps, random }: { replicas: number; agents: number; steps: number; random: () => number }): number {
  const here = Array.from({ length: replicas }, () => new Array<number>(agents).fill(0));
  let heard = here.map((row) => [...row]);
  const turns = here.map(() => new Turns());
  const calls: { replica: number; id: number }[] = [];
  let worst = 0;
  for (let step = 0; step < steps; step++) {
    if (step % 50 === 0) heard = here.map((row) => [...row]);
    const replica = Math.floor(random() * replicas);
    const elsewhere = (id: number) => heard.reduce((sum, row, i) => sum + (i === replica ? 0 : row[id]!), 0);
    const [next] = Array.from({ length: agents }, (_, id) => {
      const turn = turns[replica]!.of('x', String(id), 1);
      const running = { here: here[replica]![id]!, elsewhere: elsewhere(id), replicas };
      return { id, place: placeOf('least_connections', share({ turn, running })) };
    }).sort((a, b) => compare('least_connections', a.place, b.place));
    here[replica]![next!.id]! += 1;
    calls.push({ replica, id: next!.id });
    if (calls.length > 60) {
      const ended = calls.shift()!;
      here[ended.replica]![ended.id]! -= 1;
    }
    const sums = Array.from({ length: agents }, (_, id) => here.reduce((sum, row) => sum + row[id]!, 0));
    turns[replica]!.took('x', { agentId: String(next!.id), weight: 1 }, Object.keys(sums));
    if (step > 200) worst = Math.max(worst, Math.max(...sums) - Math.min(...sums));
  }
  return worst;
}

/** Evenly spread over [0, 1), unlike fc.double, whose values crowd near 0: one replica would get nearly all the calls. */
function evenly(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    const mixed = Math.imul(state ^ (state >>> 15), state | 1);
    const again = mixed ^ (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61));
    return ((again ^ (again >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** From every replica alike to all from one. */
const crowds = fc.constantFrom(1, 2, 20);

it.each([1, 2, 4, 8])('%d replicas with late news of each other keep connections level within twice their number', (replicas) => {
  fc.assert(
    fc.property(fc.integer(), crowds, (seed, power) => {
      const even = evenly(seed);
      const random = () => even() ** power;
      expect(simulate({ replicas, agents: 5, steps: 1500, random })).toBeLessThanOrEqual(2 * replicas);
    }),
    { numRuns: 12 },
  );
});

it('calls that hang at an agent, begun elsewhere, send new ones to others', () => {
  const hung = placeOf('least_connections', share({ running: { here: 0, elsewhere: 40, replicas: 2 } }));
  const free = placeOf('least_connections', share({ running: { here: 4, elsewhere: 0, replicas: 2 } }));
  expect(compare('least_connections', free, hung)).toBeLessThan(0);
});
