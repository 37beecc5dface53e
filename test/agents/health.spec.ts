import { unknownAgent } from '../../src/agents/agent-state.js';
import { changes } from '../../src/agents/changes.js';
import { afterCall, longestUnasked, observe, systemHealth, type Watched } from '../../src/agents/health.js';
import { mayRegister } from '../../src/agents/ownership.js';
import { Registration, type Source } from '../../src/agents/registration.js';

const WELL: Watched = { failures: 0, error: null, calls: null, calls_error: null, misses: 0, lease_over: false };

describe('an agent’s health', () => {
  it.each<[string, Partial<Watched>, string]>([
    ['nothing speaks against it', {}, 'available'],
    ['one probe failed', { failures: 1, error: 'ECONNREFUSED' }, 'available'],
    ['two probes in a row failed', { failures: 2, error: 'ECONNREFUSED' }, 'offline'],
    ['its calls find nobody', { calls: 'offline' }, 'offline'],
    ['its calls get garbage', { calls: 'error' }, 'error'],
    ['discovery missed it four times', { misses: 4 }, 'available'],
    ['discovery missed it five times', { misses: 5 }, 'offline'],
    ['its lease is over, whatever else is well', { lease_over: true }, 'offline'],
  ])('when %s', (_when, watched, state) => {
    const observed = observe({ ...WELL, ...watched });
    expect(observed.state).toBe(state);
    expect(observed.reason === undefined).toBe(state === 'available');
  });

  it('is told against by three bad calls in a row, and by each three more; an honest no is no bad call', () => {
    const codes = ['agent_unreachable', 'agent_unreachable', 'agent_failed', ...Array<string>(6).fill('agent_threw'), null];
    let bad = 0;
    const told = codes.map((code) => {
      const after = afterCall(bad, code);
      bad = after.bad;
      return after.tell;
    });
    expect(told).toEqual([null, null, null, null, null, 'error', null, null, 'error', null]);
    expect(bad).toBe(0);
  });

  it('is asked for in turn: who was never asked comes first, then who was asked longest ago', () => {
    const at = (minute: number) => new Date(`2026-11-20T10:0${minute}:00Z`);
    const due = [
      { agent: 'just now', checked_at: at(5) },
      { agent: 'long ago', checked_at: at(1) },
      { agent: 'never', checked_at: null },
      { agent: 'lately', checked_at: at(3) },
    ];
    expect(longestUnasked(due, 3)).toEqual(['never', 'long ago', 'lately']);
    // However slow a round is: among those due at the beginning of each, nobody is passed over for ever.
    const asked = new Map(Array.from({ length: 1000 }, (_, i) => [`a${i}`, null as Date | null]));
    for (let round = 1; round <= 10; round++)
      for (const agent of longestUnasked(
        [...asked].map(([agent, checked_at]) => ({ agent, checked_at })),
        100,
      ))
        asked.set(agent, new Date(round));
    expect([...asked.values()]).not.toContain(null);
  });
});

const described = (more: object = {}) =>
  Registration.parse({ agent_id: 'a', name: 'A', endpoint: 'http://127.0.0.1:1', capabilities: [{ name: 'x' }, { name: 'y' }], ...more });

describe('the health of all agents together', () => {
  it.each([
    [[], 'healthy'],
    [['available', 'busy', 'stopped'], 'healthy'],
    [['available', 'offline'], 'warning'],
    [['available', 'offline', 'error'], 'degraded'],
    [['error'], 'degraded'],
  ])('of %j is %s', (states, system_health) => {
    const agents = states.map((state, i) => ({ agent_id: `a${i}`, state }));
    const [ill, well] = [true, false].map((bad) =>
      agents.filter(({ state }) => ['offline', 'error'].includes(state) === bad).map(({ agent_id }) => agent_id),
    );
    expect(systemHealth(agents)).toEqual({ healthy_agents: well, unhealthy_agents: ill, total_agents: states.length, system_health });
  });
});

describe('two descriptions', () => {
  it('that are the same differ in nothing', () => {
    expect(changes(described(), described())).toBe('');
  });

  it('are told apart member by member', () => {
    const after = described({
      version: '1.1.0',
      endpoint: 'http://127.0.0.1:2',
      weight: 2,
      capabilities: [{ name: 'x', input_schema: { type: 'object' } }, { name: 'z' }],
    });
    expect(changes(described(), after)).toBe(
      'version 1.0.0 → 1.1.0; endpoint http://127.0.0.1:1 → http://127.0.0.1:2; weight; capability +z; capability -y; capability x: input_schema',
    );
  });
});

describe('an id', () => {
  const by = (source: Partial<Source>): Source => ({ by: 'api', tenant: 'default', ...source });
  const taken = (source: Source) => ({
    ...unknownAgent('a'),
    seq: 1,
    in_force: {
      event_id: 'e',
      seq: 1,
      type: 'agent.registered' as const,
      time: '2026-01-01T00:00:00.000Z',
      hash: 'h',
      description: described(),
      source,
    },
  });
  const refused = (source: Source, replace = false, description = described()) => {
    try {
      mayRegister(taken(by({ principal: 'alice' })), { description, source }, replace);
      return null;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  it('belongs to who registered it', () => {
    expect(refused(by({ principal: 'alice' }))).toBeNull();
    expect(refused(by({ principal: 'bob' }))).toBe('agent_conflict');
    expect(refused(by({ principal: 'alice', tenant: 'other' }))).toBe('agent_conflict');
    expect(refused(by({}))).toBe('agent_conflict');
  });

  it('stays at its address unless it is moved on purpose, which anybody of its tenant may', () => {
    const moved = described({ endpoint: 'http://127.0.0.1:2' });
    expect(refused(by({ principal: 'alice' }), false, moved)).toBe('agent_conflict');
    expect(refused(by({ principal: 'alice' }), true, moved)).toBeNull();
    expect(refused(by({ principal: 'bob' }), true, moved)).toBeNull();
    expect(refused(by({ principal: 'bob', tenant: 'other' }), true, moved)).toBe('agent_conflict');
  });

  it('is not taken by what another address says of it', () => {
    expect(refused(by({ principal: 'alice', by: 'discovery', url: 'http://127.0.0.1:1' }))).toBe('agent_conflict');
  });

  it('of an agent that has retired is free, but not for discovery', () => {
    const retired = { ...taken(by({ principal: 'alice' })), retired_at: '2026-01-02T00:00:00.000Z' };
    const wanted = (source: Source) => () => mayRegister(retired, { description: described(), source }, false);
    expect(wanted(by({ principal: 'bob' }))).not.toThrow();
    expect(wanted(by({ by: 'discovery' }))).toThrow(/retired/);
  });
});
