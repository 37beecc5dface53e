import type { AgentState } from '../../src/agents/agent-state.js';
import { Registration } from '../../src/agents/registration.js';
import { type Deciders, LATER_ATTEMPT, type RecordedRequest, Redecisions } from '../../src/audit/replay-decisions.js';
import type { JsonValue } from '../../src/kernel/json.js';
import { type RoutingFile, Rules } from '../../src/routing/rules.js';
import { MEANINGS } from '../support/registry.js';

const agent = (agent_id: string, capabilities: string[], more: Partial<AgentState> = {}): AgentState => ({
  agent_id,
  seq: 1,
  in_force: {
    ...{ event_id: 'E', seq: 1, type: 'agent.registered', time: '2026-11-20T10:00:00.000Z', hash: 'h' },
    description: Registration.parse({ agent_id, name: agent_id, capabilities: capabilities.map((name) => ({ name, description: name })) }),
  },
  ...{ retired_at: null, stopped: false, health: null },
  ...more,
});

const request = (asked: JsonValue, routing: JsonValue, more: Partial<RecordedRequest> = {}): RecordedRequest => ({
  ...{ contract_id: '01K00000000000000000000001', stream: 'default/session/S', seq: 1, asked_at: '2026-11-20T10:00:00.000Z' },
  ...{ agent_id: 'a', capability: 'echo', asked, parameters: {}, routing, recent: null, gone: null },
  ...more,
});

function redecisions(
  agents: readonly AgentState[],
  { rules = {}, ...more }: Partial<Omit<Deciders, 'rules'>> & { rules?: Partial<RoutingFile> } = {},
) {
  const deciders: Deciders = {
    ...{ strategy: 'hybrid', threshold: 0.7, shown: 20, balancing: 'weighted_round_robin', misfit: () => null, meanings: MEANINGS },
    ...more,
    rules: new Rules({ rules: [], fallback: null, ...rules }),
  };
  const made = new Redecisions(deciders);
  for (const state of agents) made.learn(state);
  return made;
}

const NAMED = request({ capability: 'echo' }, { method: 'capability', registry: 1, candidates: ['a'] });
const [A, B] = [agent('a', ['echo']), agent('b', ['echo'])];
const same = { same: true, is: { agent_id: 'a', capability: 'echo' } };
const instead = (agent_id: string | null, capability: string | null = agent_id && 'echo') => ({
  same: false,
  is: { agent_id, capability },
});
const decide = (one: RecordedRequest, agents: readonly AgentState[], more = {}) => redecisions(agents, more).decide(one, { asking: false });

describe('a decision taken again', () => {
  it('is the same among the same agents, and another where the chosen one is gone, stopped or no longer offers it', () => {
    expect(decide(NAMED, [A, B])).toMatchObject(same);
    expect(decide(NAMED, [B])).toMatchObject(instead('b'));
    expect(decide(NAMED, [{ ...A, stopped: true }, B])).toMatchObject(instead('b'));
    expect(decide(NAMED, [{ ...A, retired_at: '2026-11-20T11:00:00.000Z' }, B])).toMatchObject(instead('b'));
    expect(decide(NAMED, [agent('a', ['sing']), B])).toMatchObject(instead('b'));
    expect(decide(NAMED, [])).toMatchObject({ ...instead(null), is: { error: expect.stringContaining('no agent offers') } });
  });

  it('knows agents as they change', () => {
    const changing = redecisions([A, B]);
    expect(changing.decide(NAMED, { asking: false })).toMatchObject(same);
    changing.learn({ ...A, seq: 2, stopped: true });
    expect(changing.decide(NAMED, { asking: false })).toMatchObject(instead('b'));
    changing.learn({ ...A, seq: 3, stopped: false });
    expect(changing.decide(NAMED, { asking: false })).toMatchObject(same);
  });

  it.each([
    ['weighted_round_robin', 2, 1],
    ['score', 0.4, 0.9],
  ])('leaves the turn with whom it was by %s', (balancing, of_a, of_b) => {
    const places = (a: number, b: number) => [
      { agent_id: 'a', capability: 'echo', score: a },
      { agent_id: 'b', capability: 'echo', score: b },
    ];
    const recorded = (a: number, b: number, agent_id: string) =>
      request({ capability: 'echo' }, { method: 'capability', registry: 1, balancing, candidates: places(a, b) }, { agent_id });
    expect(decide(recorded(of_a, of_b, 'b'), [A, B])).toMatchObject({ same: true });
    expect(decide(recorded(of_b, of_a, 'a'), [A, B])).toMatchObject({ same: true });
    expect(decide(recorded(of_b, of_a, 'a'), [agent('new', ['echo']), A, B])).toMatchObject({ same: true });
  });

  it('passes over whom the dispatcher passed over', () => {
    const candidates = (refused: string) => [
      { agent_id: 'a', capability: 'echo', refused },
      { agent_id: 'b', capability: 'echo', score: 1 },
    ];
    for (const refused of ['breaker_open', 'over_limit'])
      expect(
        decide(request({ capability: 'echo' }, { method: 'capability', candidates: candidates(refused) }, { agent_id: 'b' }), [A, B]),
      ).toMatchObject({
        same: true,
      });
    const passed = { method: 'capability', candidates: ['a'], passed_over: [{ agent_id: 'a' }] };
    expect(decide(request({ capability: 'echo' }, passed, { agent_id: null, capability: null }), [A])).toMatchObject({ same: true });
  });

  it('follows other rules and another threshold, and says why in its evidence', () => {
    const asked = request(
      { message: 'please shout this' },
      { method: 'rule', candidates: ['a'], rules: [] },
      { parameters: { message: 'please shout this' } },
    );
    const rule = (capability: string) => ({ rules: { rules: [{ capability, keywords: { shout: 0.9 }, patterns: {} }] } });
    const agents = [A, agent('loud', ['uppercase'])];
    expect(decide(asked, agents, rule('echo'))).toMatchObject(same);
    expect(decide(asked, agents, rule('uppercase'))).toMatchObject({
      ...instead('loud', 'uppercase'),
      is: { evidence: { method: 'rule', rules: [{ capability: 'uppercase', matched: ['shout'] }] } },
    });
    expect(decide(asked, agents, { ...rule('uppercase'), threshold: 0.95, strategy: 'simple' })).toMatchObject(instead(null));
  });

  describe('that a language model took part in', () => {
    const llm = (agent_id: string, capability: string) => ({
      ...{
        model: 'm',
        prompt: 'p',
        shown: [
          { agent_id: 'a', capability: 'echo' },
          { agent_id: 'b', capability: 'sing' },
        ],
        of: 2,
        ms: 1,
      },
      answer: { agent_id, capability, parameters: { text: 'x' }, confidence: 0.9, reasoning: '', alternatives: [], secondary_agents: [] },
    });
    const agents = [A, agent('b', ['sing'])];
    const asked = request(
      { message: 'zzz' },
      { method: 'llm', candidates: ['a'], llm: llm('a', 'echo') },
      { parameters: { text: 'x', message: 'zzz', mine: 1 } },
    );

    it('takes what the model said then, until another one says otherwise', () => {
      expect(decide(asked, agents)).toMatchObject(same);
      const asking = redecisions(agents);
      const first = asking.decide(asked, { asking: true });
      expect(first).toMatchObject({ ask: { of: 2 }, question: { message: 'zzz' } });
      expect(asking.decide(asked, { asking: true, reply: llm('b', 'sing') })).toMatchObject(instead('b', 'sing'));
    });

    it('tells the model only what the caller gave', () => {
      const handed = { ...asked, routing: { ...(asked.routing as object), message_as: 'message' } };
      expect(redecisions(agents).decide(handed, { asking: true })).toMatchObject({ question: { parameters: { mine: 1 } } });
      expect(redecisions(agents).decide(handed, { asking: true })).not.toMatchObject({ question: { parameters: { text: 'x' } } });
    });

    it('is skipped where one would be asked now and none was then; and has none where there was none', () => {
      const words = request({ message: 'zzz' }, { method: 'lexical', candidates: ['a'] });
      expect(decide(words, agents)).toEqual({ skipped: expect.stringContaining('a language model would be asked') });
      const without = { method: 'none', candidates: [], fell_back: [{ from: 'llm', why: 'no language model is configured' }] };
      expect(decide(request({ message: 'zzz' }, without, { agent_id: null, capability: null }), agents)).toMatchObject({ same: true });
    });
  });

  it('is not taken where the record does not say enough, or where it was taken before', () => {
    const gone = { gone: 'erased at noon' };
    expect(decide({ ...NAMED, asked: null, ...gone }, [A])).toEqual({ skipped: 'its payload is erased at noon' });
    expect(decide({ ...NAMED, routing: null, ...gone }, [A])).toEqual({ skipped: 'its evidence is erased at noon' });
    expect(decide({ ...NAMED, asked: null }, [A])).toEqual({ skipped: 'the record does not say what was asked' });
    expect(decide({ ...NAMED, routing: { method: 'capability', candidates: ['a'], attempt: 2 } }, [A])).toEqual({ skipped: LATER_ATTEMPT });
  });

  it('reads the evidence of the first version', () => {
    expect(decide({ ...NAMED, routing: { method: 'capability', candidates: ['a', 'b'] } }, [A, B])).toMatchObject(same);
  });
});
