import fc from 'fast-check';
import { COMPARATORS, type Comparator, compare, type Ending } from '../../src/audit/replay-compare.js';
import type { JsonValue } from '../../src/kernel/json.js';

const done = (result: JsonValue, more: Partial<Ending> = {}): Ending => ({
  ...{ status: 'completed', error_code: null, result, text: null, files: [] },
  ...more,
});
const broken = (error_code: string): Ending => done(null, { status: 'failed', error_code });
const against = (then: JsonValue, now: JsonValue, how: Comparator = 'exact') => compare(done(then), done(now), how, null);

const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<JsonValue>;

describe('the comparison of an answer with the one of then', () => {
  it('is identical where the canonical JSON is, however the members stand', () => {
    expect(against({ a: 1, b: [null] }, { b: [null], a: 1 })).toEqual({ outcome: 'identical', by: null, changes: [], more: 0 });
  });

  it('names each change by its pointer, with what was and what is', () => {
    expect(against({ a: 1, 'b/c': { '~': 'x' }, gone: true }, { a: 2, 'b/c': { '~': 'y' }, come: [] })).toEqual({
      outcome: 'changed',
      by: null,
      changes: expect.arrayContaining([
        { path: '/result/a', was: 1, is: 2 },
        { path: '/result/b~1c/~0', was: 'x', is: 'y' },
        { path: '/result/gone', was: true },
        { path: '/result/come', is: [] },
      ]),
      more: 0,
    });
  });

  it('lists twenty changes and counts the others', () => {
    const list = (by: number) => Array.from({ length: 50 }, (_, i) => i + by);
    expect(against(list(0), list(1))).toMatchObject({ changes: { length: 20 }, more: 30 });
  });

  it('sees members that every JavaScript object seems to have', () => {
    const { outcome, changes } = against({ constructor: 1 }, {});
    expect([outcome, JSON.stringify(changes)]).toEqual(['changed', '[{"path":"/result/constructor","was":1}]']);
  });

  it('compares what was said and the files as well as the data', () => {
    expect(compare(done(1, { text: 'a' }), done(1, { text: 'b' }), 'exact', null).changes).toEqual([{ path: '/text', was: 'a', is: 'b' }]);
    const files = (sha256: string) => done(1, { files: [{ name: 'x', sha256 }] });
    expect(compare(files('1'), files('2'), 'exact', null).outcome).toBe('changed');
  });

  it('is failed where it was done then and is not now, and identical where it fails as it did', () => {
    expect(compare(done(1), broken('agent_timeout'), 'shape', null).outcome).toBe('failed');
    expect(compare(broken('agent_failed'), broken('agent_failed'), 'exact', null).outcome).toBe('identical');
    expect(compare(broken('agent_failed'), broken('agent_timeout'), 'shape', null).outcome).toBe('changed');
    expect(compare(broken('agent_failed'), done(1), 'shape', null).outcome).toBe('changed');
  });

  it.each<[Comparator, JsonValue, JsonValue]>([
    ['text', { m: 'Hello,  World ' }, { m: 'hello, world' }],
    ['numbers', [0.1 + 0.2, 1e9], [0.3, 1e9 + 1]],
    ['unordered', { tags: ['b', { x: [2, 1] }] }, { tags: [{ x: [1, 2] }, 'b'] }],
    ['shape', { n: 1, list: ['a', 'b'], on: true }, { n: 7, list: ['c'], on: false }],
  ])('%s calls equivalent what another one does not', (how, then, now) => {
    expect(against(then, now, how)).toMatchObject({ outcome: 'equivalent', by: how, changes: { length: expect.any(Number) } });
    for (const other of COMPARATORS.filter((one) => one !== how && one !== 'shape'))
      expect([other, against(then, now, other).outcome]).toEqual([other, 'changed']);
  });

  it.each<[Comparator, JsonValue, JsonValue]>([
    ['text', { m: 'hello world' }, { m: 'helloworld' }],
    ['numbers', 1, 1.00002],
    ['numbers', 1, '1'],
    ['unordered', [1, 1, 2], [1, 2, 2]],
    ['shape', { n: 1 }, { n: '1' }],
    ['shape', { n: 1 }, { n: 1, more: 1 }],
    ['shape', ['a'], []],
  ])('%s does not pass over %j becoming %j', (how, then, now) => {
    expect(against(then, now, how).outcome).toBe('changed');
  });

  it('schema passes what fits today, then and now, and nothing where there is no schema', () => {
    const fits = (result: JsonValue) => typeof result === 'string';
    const by = (then: JsonValue, now: JsonValue, f: typeof fits | null) => compare(done(then), done(now), 'schema', f).outcome;
    expect([by('a', 'b', fits), by(1, 'b', fits), by('a', 2, fits), by('a', 'b', null)]).toEqual([
      'equivalent',
      'changed',
      'changed',
      'changed',
    ]);
  });

  it('finds any value identical to itself, and equivalence goes both ways', () => {
    fc.assert(
      fc.property(json, json, fc.constantFrom(...COMPARATORS), (a, b, how) => {
        expect(against(a, structuredClone(a), how).outcome).toBe('identical');
        expect(against(a, b, how).outcome).toBe(against(b, a, how).outcome);
      }),
    );
  });
});
