import fc from 'fast-check';
import { AGENT_TYPES, type AgentEvent, foldAgent, isRegistered, statusOf } from '../../src/agents/agent-state.js';

const event = (type: AgentEvent['type'], seq: number, more: Partial<AgentEvent> = {}): AgentEvent => ({
  event_id: `e${seq}`,
  seq,
  type,
  time: `2026-01-01T00:00:${String(seq % 60).padStart(2, '0')}.000Z`,
  hash: `h${seq}`,
  ...more,
});
const of = (...types: AgentEvent['type'][]) =>
  foldAgent(
    'a',
    types.map((type, i) => event(type, i + 1)),
  );

describe('what an agent is', () => {
  it('is nobody before it is registered', () => {
    expect([isRegistered(of()), of().seq]).toEqual([false, 0]);
  });

  it('is available once registered, until its stream says otherwise', () => {
    expect(statusOf(of('agent.registered'))).toBe('available');
    expect(statusOf(of('agent.registered', 'agent.stopped'))).toBe('stopped');
    expect(statusOf(of('agent.registered', 'agent.stopped', 'agent.started'))).toBe('available');
    expect(statusOf(of('agent.registered', 'agent.stopped', 'agent.retired'))).toBe('retired');
    const health = [event('agent.registered', 1), event('agent.health', 2, { health: 'error', reason: 'it broke' })];
    expect(foldAgent('a', health)).toMatchObject({ health: { state: 'error', reason: 'it broke' } });
    expect(statusOf(foldAgent('a', [...health, event('agent.health', 3, { health: 'available' })]))).toBe('available');
  });

  it('starts afresh when it is registered after it had retired', () => {
    const state = of('agent.registered', 'agent.stopped', 'agent.health', 'agent.retired', 'agent.registered');
    expect([isRegistered(state), statusOf(state), state.in_force?.seq]).toEqual([true, 'available', 5]);
  });

  it('keeps what an update does not speak of', () => {
    const state = of('agent.registered', 'agent.stopped', 'agent.updated');
    expect([statusOf(state), state.in_force?.seq]).toEqual(['stopped', 3]);
  });

  it('follows from the latest event of each type as well as from all of them', () => {
    const history = fc.array(
      fc.tuple(fc.constantFrom(...AGENT_TYPES), fc.constantFrom('available', 'offline', 'error') as fc.Arbitrary<'error'>),
      {
        maxLength: 30,
      },
    );
    fc.assert(
      fc.property(history, (types) => {
        const all = types.map(([type, health], i) => event(type, i + 1, type === 'agent.health' ? { health } : {}));
        const latest = all.filter((e, i) => !all.slice(i + 1).some((later) => later.type === e.type));
        expect(foldAgent('a', latest)).toEqual(foldAgent('a', all));
      }),
    );
  });
});
