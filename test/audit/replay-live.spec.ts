import { type AgentNow, comparatorsOf, endingOf, LivePlan } from '../../src/audit/replay-live.js';
import type { ContractThen } from '../../src/audit/replay-session.js';

const contract = (more: Partial<ContractThen> = {}): ContractThen => ({
  contract_id: '01K00000000000000000000001',
  stream: 'default/session/01K00000000000000000000000',
  seq: 1,
  asked_at: '2026-11-20T10:00:00.000Z',
  task_id: null,
  cause: null,
  replay_of: null,
  agent_id: 'first',
  agent_version: '1.0.0',
  capability: 'echo',
  status: 'completed',
  error_code: null,
  answered_at: '2026-11-20T10:00:01.000Z',
  response_seq: 2,
  request: { asked: { capability: 'echo' }, parameters: { text: 'x' }, context: { memory: true } },
  response: { result: { message: 'x' }, text: 'x' },
  gone: null,
  ...more,
});

const agent = (agent_id: string, more: Partial<AgentNow> = {}, safe = true): AgentNow => ({
  ...{ agent_id, status: 'available', capabilities: [{ name: 'echo', ...(safe && { replay_safe: true }) }] },
  ...more,
});

const plan = (one: ContractThen, agents: AgentNow[], unsafe = false) => new LivePlan(agents, { unsafe, max: 10 }).add(one);

describe('the plan of a live replay', () => {
  it('sends what was recorded to the agent of then, by name', () => {
    expect(plan(contract(), [agent('other'), agent('first')])).toEqual({
      send: { agent_id: 'first', capability: 'echo', parameters: { text: 'x' }, context: { memory: true } },
    });
  });

  it('takes the first that offers it where the agent of then is stopped, gone, or has given it up', () => {
    const others = [agent('second'), agent('third')];
    const given = agent('first', { capabilities: [{ name: 'sing', replay_safe: true }] });
    for (const first of [[], [agent('first', { status: 'stopped' })], [given]])
      expect(plan(contract(), [...first, ...others])).toMatchObject({ send: { agent_id: 'second' } });
    expect(plan(contract(), [given])).toEqual({ skipped: 'nobody offers "echo" today' });
  });

  it('sends nothing to what is not marked replay_safe, unless that is asked for', () => {
    const risky = [agent('first', {}, false), agent('second')];
    expect(plan(contract(), risky)).toEqual({ skipped: '"echo" of first is not marked replay_safe (--unsafe sends it)' });
    expect(plan(contract(), risky, true)).toMatchObject({ send: { agent_id: 'first' } });
  });

  it.each<[string, Partial<ContractThen>]>([
    ['its payload is erased at noon', { gone: 'erased at noon' }],
    ['it had not ended', { status: 'pending', answered_at: null }],
    ['nobody was asked then', { status: 'failed', error_code: 'no_agent', agent_id: null, capability: null }],
    ['it was cancelled then', { status: 'cancelled', error_code: 'cancelled' }],
    ['whether the agent acted then is unknown', { status: 'failed', error_code: 'interrupted' }],
    ['the record does not say what was asked', { request: {} }],
  ])('skips a contract of which "%s"', (why, more) => {
    expect(plan(contract(more), [agent('first')], true)).toEqual({ skipped: why });
  });

  it('compares a task that was tried again by its last attempt', () => {
    const first = contract({
      status: 'failed',
      error_code: 'agent_unreachable',
      response: { next: { contract_id: '01K2', pause_ms: 100 } },
    });
    expect(plan(first, [agent('first')])).toEqual({ repeated: '01K2' });
  });

  it('makes no more calls than it may; what is skipped counts for none', () => {
    const live = new LivePlan([agent('first')], { unsafe: false, max: 2 });
    const skipped = contract({ gone: 'erased' });
    const outcomes = [contract(), skipped, contract(), contract()].map((one) => Object.keys(live.add(one))[0]);
    expect([outcomes, live.calls]).toEqual([['send', 'skipped', 'send', 'skipped'], 2]);
  });
});

it('an ending is read from the disclosures of the RESPONSE', () => {
  expect(endingOf(contract())).toEqual({ status: 'completed', error_code: null, result: { message: 'x' }, text: 'x', files: [] });
  expect(endingOf(contract({ status: 'failed', error_code: 'agent_threw', response: { error: { code: 'agent_threw' } } }))).toEqual({
    ...{ status: 'failed', error_code: 'agent_threw', result: null, text: null, files: [] },
  });
});

it('comparators are named for all capabilities or for one, and nothing else is one', () => {
  const chosen = comparatorsOf(['shape', 'sum=numbers', 'a=b=text'])!;
  expect(['echo', 'sum', 'a=b'].map(chosen)).toEqual(['shape', 'numbers', 'text']);
  expect(comparatorsOf([])!('echo')).toBe('exact');
  for (const word of ['', 'same', 'echo=', 'text=echo']) expect([word, comparatorsOf([word])]).toEqual([word, null]);
});
