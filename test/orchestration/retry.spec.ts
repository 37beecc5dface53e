import { ERROR_CODES } from '../../src/contracts/contract.js';
import { type Ended, safe, speaksFor, type Tried, whoNext } from '../../src/orchestration/retry.js';

const failed = (code: string, fault?: Ended['fault']) => ({ status: 'failed', code, ...(fault && { fault }) }) as Ended;
const done = { status: 'completed', result: 1 } as Ended;

describe('a task may be tried again', () => {
  it.each([
    ['whose agent was never reached', failed('agent_unreachable', { untouched: true })],
    ['that was turned away with 429', failed('agent_busy', { untouched: true })],
    ['that was turned away with 503', failed('agent_busy', { untouched: true, broke: true })],
    ['whose agent is not the server that answers', failed('agent_invalid_response', { untouched: true })],
  ])('always: one %s', (_what, ended) => expect(safe(ended)).toBe('always'));

  it.each([
    ['whose connection broke half-way', failed('agent_unreachable')],
    ['whose agent threw', failed('agent_threw')],
    ['whose agent answered HTTP 500', failed('agent_failed', { broke: true })],
    ['whose answer cannot be read', failed('agent_invalid_response')],
    ['whose result breaks its schema', failed('agent_invalid_output')],
    ['whose answer is too large', failed('agent_response_too_large')],
  ])('if it may be done twice: one %s', (_what, ended) => expect(safe(ended)).toBe('if_idempotent'));

  const ends: [string, Ended][] = [
    ['that was done', done],
    ['whose agent says that it cannot do it', failed('agent_failed')],
    ['whose deadline has come', failed('agent_timeout')],
    ['that waited for a busy agent until its deadline', failed('agent_busy')],
    ...(['cancelled', 'interrupted', 'input_required', 'auth_required', 'invalid_input', 'no_agent', 'breaker_open'] as const).map(
      (code): [string, Ended] => [`that ended ${code}`, failed(code)],
    ),
  ];
  it.each(ends)('never: one %s', (_what, ended) => expect(safe(ended)).toBe('never'));

  it('as each way to end says', () => {
    for (const code of Object.keys(ERROR_CODES)) expect(['always', 'if_idempotent', 'never']).toContain(safe(failed(code)));
  });
});

describe('a call speaks for its agent', () => {
  const says = (ended: Ended, givenMs = 30_000) => speaksFor(ended, givenMs, 1000);

  it.each(['agent_failed', 'agent_invalid_output', 'input_required', 'auth_required'])('when it was answered (%s)', (code) =>
    expect(says(failed(code))).toBe(true),
  );
  it.each(['agent_unreachable', 'agent_threw', 'agent_timeout', 'agent_invalid_response', 'agent_response_too_large'])(
    'and against it when it was not, or not so that it could be used (%s)',
    (code) => expect(says(failed(code))).toBe(false),
  );
  it('and against it when it broke down: HTTP 5xx, 503 too, but 429 is no illness', () => {
    expect(says(failed('agent_failed', { broke: true }))).toBe(false);
    expect(says(failed('agent_busy', { untouched: true, broke: true }))).toBe(false);
    expect(says(failed('agent_busy', { untouched: true }))).toBeNull();
  });
  it('in no way when nobody asked it, or its caller left', () => {
    for (const code of ['cancelled', 'interrupted', 'invalid_input', 'no_agent', 'breaker_open']) expect(says(failed(code))).toBeNull();
  });
  it('in no way when it was given too little time to tell', () => {
    expect(says(failed('agent_timeout'), 999)).toBeNull();
    expect(says(failed('agent_timeout'), 1000)).toBe(false);
  });
  it('when it was done', () => expect(says(done)).toBe(true));
});

describe('after a failure', () => {
  const at = (chance: number, deadline = 60_000) => ({ now: 0, deadline, chance });
  const tried = (all: Record<string, Partial<Tried>>) =>
    new Map(Object.entries(all).map(([agent, one]) => [agent, { failures: 1, notBefore: 0, ...one }]));

  it('whoever was not asked yet is next, best first and at once', () => {
    expect(whoNext(['a', 'b', 'c'], tried({ a: {} }), at(1))).toEqual({ agent: 'b', pause_ms: 0 });
  });
  it('the same one is asked again after a pause that chance shortens and that grows with its failures', () => {
    const pause = (failures: number, chance: number) => whoNext(['a'], tried({ a: { failures } }), at(chance))!.pause_ms;
    expect([1, 2, 3, 4].map((failures) => pause(failures, 1))).toEqual([100, 200, 400, 800]);
    expect([1, 2, 3].map((failures) => pause(failures, 0.5))).toEqual([50, 100, 200]);
    expect([pause(1, 0), pause(30, 1)]).toEqual([0, 5000]);
  });
  it('nobody is asked before he wants to be', () => {
    expect(whoNext(['a'], tried({ a: { notBefore: 3000 } }), at(0.5))).toEqual({ agent: 'a', pause_ms: 3050 });
    expect(whoNext(['a', 'b'], tried({ a: { notBefore: 3000 }, b: { notBefore: 200 } }), at(0))).toEqual({ agent: 'b', pause_ms: 200 });
  });
  it('nobody is asked whom the deadline leaves no time', () => {
    expect(whoNext(['a'], tried({ a: { notBefore: 3000 } }), at(0, 3000))).toBeNull();
    expect(whoNext([], tried({ a: {} }), at(0))).toBeNull();
  });
});
