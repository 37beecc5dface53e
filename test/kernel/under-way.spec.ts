import { UnderWay } from '../../src/kernel/under-way.js';

describe('what is under way', () => {
  it('is known in the order in which it began, until it ends', () => {
    const calls = new UnderWay<string>();
    for (const id of ['b', 'a', 'c']) calls.begin(id, `call ${id}`);
    expect([calls.size, calls.ids(), calls.all()]).toEqual([3, ['b', 'a', 'c'], ['call b', 'call a', 'call c']]);
    expect(calls.end('a')).toBe('call a');
    expect(calls.end('a')).toBeUndefined();
    expect([calls.size, calls.ids(), calls.all()]).toEqual([2, ['b', 'c'], ['call b', 'call c']]);
  });

  it('lets go of what has ended at once, whatever still refers to its place', () => {
    const calls = new UnderWay<object>();
    calls.begin('a', {});
    const [place] = [...(calls as unknown as { entries: Map<string, object> }).entries.values()];
    calls.end('a');
    expect(place).toEqual({ value: null });
  });
});
