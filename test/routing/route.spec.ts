import fc from 'fast-check';
import type { JsonValue } from '../../src/kernel/json.js';
import type { Decision, Knowledge, Question } from '../../src/routing/decision.js';
import type { Named } from '../../src/routing/evidence.js';
import type { Reply } from '../../src/routing/model-answer.js';
import { route } from '../../src/routing/route.js';
import { agent, evidenceOf, idsOf, knowing, offers } from '../support/registry.js';

const CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

const SKY = agent({ agent_id: 'sky' }, [
  offers('weather.forecast', { description: 'Tells what the weather will be', tags: ['rain', 'sun'], input_schema: CITY }),
]);
const BANK = agent({ agent_id: 'bank' }, [
  offers('account.balance', { description: 'Shows the balance of a bank account', tags: ['money'] }),
  offers('card.block', { description: 'Blocks a lost or stolen card', tags: ['credit card'] }),
]);
const WORLD = [SKY, BANK];

const asking = (wish: Partial<Question>): Question => ({ parameters: {}, ...wish });

function decided(wish: Partial<Question>, knowledge: Knowledge, reply?: Reply): Decision {
  const routed = route(asking(wish), knowledge, reply);
  if ('ask' in routed) throw new Error('a model is to be asked');
  return routed;
}

describe('a capability that is named', () => {
  const two = [agent({ agent_id: 'a' }, [offers('x')]), agent({ agent_id: 'b' }, [offers('x')])];

  it('goes to the one agent that offers it, and little is said about it', () => {
    const decision = decided({ capability: 'card.block' }, knowing(WORLD));
    expect(decision).toEqual({
      ranked: [{ agent: BANK, capability: 'card.block' }],
      refused: null,
      obstacle: null,
      evidence: { method: 'capability', registry: 7, candidates: ['bank'] },
    });
  });

  it('goes to whose place is first, and every candidate is named with his', () => {
    const places = { a: { score: 2, turn: 2 }, b: { score: 0.5, turn: 3 } };
    const decision = decided({ capability: 'x' }, knowing(two, { places }));
    expect(idsOf(decision)).toEqual(['b', 'a']);
    expect(evidenceOf(decision)).toEqual({
      method: 'capability',
      registry: 7,
      balancing: 'weighted_round_robin',
      candidates: [
        { agent_id: 'b', capability: 'x', score: 0.5, turn: 3 },
        { agent_id: 'a', capability: 'x', score: 2 },
      ],
    });
  });

  it('goes to who speaks the protocol the caller prefers, then to the others in turn, and to them alone where he cannot', () => {
    const world = [two[0]!, { ...two[1]!, protocol: 'acp-beeai' }, { ...agent({ agent_id: 'c' }, [offers('x')]), protocol: 'acp-agntcy' }];
    const places = { a: { score: 0, turn: 0 }, b: { score: 2, turn: 2 }, c: { score: 1, turn: 1 } };
    const preferring = (preferred_protocol: string, around: Parameters<typeof knowing>[1] = {}) =>
      decided({ capability: 'x', preferred_protocol }, knowing(world, { places, ...around }));
    expect(idsOf(decided({ capability: 'x' }, knowing(world, { places })))).toEqual(['a', 'c', 'b']);
    expect(idsOf(preferring('acp-beeai'))).toEqual(['b', 'a', 'c']);
    expect(idsOf(preferring('acp'))).toEqual(['c', 'b', 'a']);
    expect(evidenceOf(preferring('acp'))).toMatchObject({ preferred_protocol: 'acp' });
    expect(idsOf(preferring('acp-beeai', { conditions: { b: { full: true } } }))).toEqual(['a', 'c']);
    expect(idsOf(preferring('ac'))).toEqual(['a', 'c', 'b']);
  });

  const OTHER = { type: 'object', required: ['town'] };
  const refusals: [string, Parameters<typeof knowing>[0][number], Parameters<typeof knowing>[1], { obstacle: string; words: string }][] = [
    ['stopped', agent({ agent_id: 'b' }, [offers('x')], 'stopped'), {}, { obstacle: 'stopped', words: 'stopped' }],
    ['breaker_open', two[1]!, { conditions: { b: { breaker: 'open' } } }, { obstacle: 'breaker_open', words: 'failing too often' }],
    ['over_limit', two[1]!, { conditions: { b: { full: true } } }, { obstacle: 'over_limit', words: 'busy' }],
  ];

  it.each(refusals)('is not given to who is %s; alone, nobody gets it, and it says why', (reason, b, around, { obstacle, words }) => {
    const beside = decided({ capability: 'x' }, knowing([b, two[0]!], around));
    expect(idsOf(beside)).toEqual(['a']);
    expect(evidenceOf(beside).candidates).toContainEqual({ agent_id: 'b', capability: 'x', refused: reason });
    const alone = decided({ capability: 'x' }, knowing([b], around));
    expect([idsOf(alone), alone.obstacle, alone.refused]).toEqual([[], obstacle, expect.stringContaining(words)]);
    expect(evidenceOf(alone).candidates).toEqual([{ agent_id: 'b', capability: 'x', refused: reason }]);
    const named = decided({ agent_id: 'b', capability: 'x' }, knowing([b], around));
    expect([named.obstacle, named.refused]).toEqual([obstacle, expect.stringContaining(`agent "b" is ${words}`)]);
  });

  it.each(['offline', 'error'] as const)('is given to who is %s only where nobody else is left', (status) => {
    const ill = agent({ agent_id: 'b' }, [offers('x')], status);
    const beside = decided({ capability: 'x' }, knowing([ill, two[0]!], { places: { b: { score: 0, turn: 0 } } }));
    expect(idsOf(beside)).toEqual(['a', 'b']);
    expect(evidenceOf(beside).candidates).toContainEqual({ agent_id: 'b', capability: 'x', score: 0, refused: 'unhealthy' });
    expect(idsOf(decided({ capability: 'x' }, knowing([ill])))).toEqual(['b']);
    expect(idsOf(decided({ agent_id: 'b' }, knowing([ill])))).toEqual(['b']);
  });

  it('is not given to who has another schema, unless the parameters fit nobody', () => {
    const agents = [
      agent({ agent_id: 'a' }, [offers('x', { input_schema: OTHER })]),
      agent({ agent_id: 'b' }, [offers('x', { input_schema: CITY })]),
    ];
    const decision = decided({ capability: 'x', parameters: { city: 'Rome' } }, knowing(agents));
    expect(idsOf(decision)).toEqual(['b']);
    expect(evidenceOf(decision).candidates).toContainEqual({ agent_id: 'a', capability: 'x', refused: 'schema_mismatch' });
    expect(idsOf(decided({ capability: 'x' }, knowing(agents)))).toEqual(['a', 'b']);
  });

  it('that everybody refuses says so of each', () => {
    const agents = [agent({ agent_id: 'a' }, [offers('x')], 'stopped'), two[1]!];
    const { refused, obstacle } = decided({ capability: 'x' }, knowing(agents, { conditions: { b: { breaker: 'open' } } }));
    expect([refused, obstacle]).toEqual([
      'nobody who offers "x" can take it: a is stopped, b is failing too often to be called for now',
      'breaker_open',
    ]);
  });

  it('that nobody offers tells what is offered', () => {
    const { refused, obstacle } = decided({ capability: 'weather' }, knowing(WORLD));
    expect([refused, obstacle]).toEqual([expect.stringMatching(/no agent offers.*account\.balance, card\.block, weather\.forecast/), null]);
    expect(decided({ capability: 'weather' }, knowing([])).refused).toMatch(/no agent is registered/);
  });

  it('takes the message along as what the agent has for it', () => {
    const decision = decided({ capability: 'weather.forecast', message: 'Rome' }, knowing(WORLD));
    expect(decision.ranked[0]!.parameters).toEqual({ city: 'Rome' });
    expect(evidenceOf(decision).message_as).toBe('city');
  });
});

describe('an agent that is named', () => {
  it('gets it, whatever others offer the same', () => {
    expect(evidenceOf(decided({ agent_id: 'bank', capability: 'card.block' }, knowing(WORLD)))).toEqual({
      method: 'agent_id',
      registry: 7,
      candidates: ['bank'],
    });
    expect(decided({ agent_id: 'sky' }, knowing(WORLD)).ranked[0]!.capability).toBe('weather.forecast');
  });

  it('with several capabilities does what the message says, and nothing of what others do', () => {
    const decision = decided({ agent_id: 'bank', message: 'I lost my credit card' }, knowing(WORLD));
    expect([idsOf(decision), decision.ranked[0]!.capability, evidenceOf(decision).method]).toEqual([['bank'], 'card.block', 'lexical']);
    expect(decided({ agent_id: 'bank', message: 'will there be rain' }, knowing(WORLD)).refused).toBe('nobody fits this message');
  });

  it('gets it by a rule only where the rule means it, and neither a rule nor the fallback gives it to others', () => {
    const rules = {
      rules: [
        { capability: 'weather.forecast', keywords: { umbrella: 1 } },
        { capability: 'card.block', keywords: { wallet: 1 } },
      ],
      fallback: { agent_id: 'sky' },
    };
    const named = (message: string) => decided({ agent_id: 'bank', message }, knowing(WORLD, { rules }));
    expect([idsOf(named('my umbrella')), evidenceOf(named('my umbrella')).rules]).toEqual([[], undefined]);
    expect([idsOf(named('my wallet')), named('my wallet').ranked[0]!.capability]).toEqual([['bank'], 'card.block']);
    expect(idsOf(decided({ message: 'my umbrella' }, knowing(WORLD, { rules })))).toEqual(['sky']);
  });

  it.each([
    [{ agent_id: 'bank' }, /has several capabilities, name one: account\.balance, card\.block/],
    [{ agent_id: 'bank', capability: 'echo' }, /does not offer "echo"; it offers/],
    [{ agent_id: 'nobody', message: 'rain' }, /there is no agent "nobody"/],
  ])('is refused with words for %j', (wish, words) => {
    expect(decided(wish, knowing(WORLD)).refused).toMatch(words);
  });
});

describe('a message', () => {
  const rules = {
    rules: [{ name: 'lost', capability: 'card.block', keywords: { wallet: 0.8, rain: 0.2 }, patterns: { 'stol(e|en)\\b': 0.6 } }],
  };

  it('is decided by a rule that is sure, and the ranking by words is not asked', () => {
    const decision = decided({ message: 'somebody stole my wallet' }, knowing(WORLD, { rules }));
    expect([idsOf(decision), evidenceOf(decision)]).toEqual([
      ['bank'],
      {
        method: 'rule',
        registry: 7,
        candidates: ['bank'],
        strategy: 'simple',
        threshold: 0.7,
        confidence: 0.92,
        rules: [{ name: 'lost', capability: 'card.block', confidence: 0.92, matched: ['wallet', '/stol(e|en)\\b/'] }],
        message_as: 'message',
      },
    ]);
  });

  it('is decided by its words where no rule is sure', () => {
    const decision = decided({ message: 'will there be rain or sun' }, knowing(WORLD, { rules }));
    const { method, lexical, candidates } = evidenceOf(decision);
    expect([idsOf(decision), method, lexical!.confidence > 0.7]).toEqual([['sky'], 'lexical', true]);
    const [{ match, meaning }] = candidates as [Named];
    expect(candidates[0]).toEqual({ agent_id: 'sky', capability: 'weather.forecast', match, meaning });
    expect(lexical!.meaning).toBeCloseTo(meaning! / (match! + meaning!), 2);
  });

  it('that a rule gives to a capability nobody offers passes that rule over', () => {
    const gone = { rules: [{ capability: 'weather.radar', keywords: { rain: 1 } }] };
    expect(idsOf(decided({ message: 'will there be rain or sun' }, knowing(WORLD, { rules: gone })))).toEqual(['sky']);
  });

  it('that fits nobody is refused with the nearest, which are too far', () => {
    const decision = decided({ message: 'sing a song about money' }, knowing(WORLD, { settings: { threshold: 0.99 } }));
    expect([idsOf(decision), decision.refused, decision.obstacle]).toEqual([
      [],
      'nobody fits this message; the nearest are account.balance (bank)',
      'low_score',
    ]);
    expect(evidenceOf(decision)).toMatchObject({
      method: 'none',
      candidates: [{ agent_id: 'bank', capability: 'account.balance', refused: 'low_score' }],
    });
    expect(decided({ message: 'paint my house' }, knowing(WORLD)).refused).toBe('nobody fits this message');
  });

  it('that fits nobody goes to the fallback agent, if there is one', () => {
    const around = { rules: { fallback: { agent_id: 'sky' } } };
    const decision = decided({ message: 'paint my house' }, knowing(WORLD, around));
    expect([idsOf(decision), evidenceOf(decision).method, decision.ranked[0]!.parameters]).toEqual([
      ['sky'],
      'fallback',
      { city: 'paint my house' },
    ]);
    const unclear = { rules: { fallback: { agent_id: 'bank' } } };
    expect(idsOf(decided({ message: 'paint my house' }, knowing(WORLD, unclear)))).toEqual([]);
  });

  it('goes only to those of one capability whom it fits about as well', () => {
    const agents = [
      agent({ agent_id: 'web' }, [offers('search', { description: 'Searches the web', tags: ['internet', 'pages'] })]),
      agent({ agent_id: 'shop' }, [offers('search', { description: 'Searches shoes and shirts of the shop', tags: ['buy', 'shoes'] })]),
      agent({ agent_id: 'shop-2' }, [offers('search', { description: 'Searches shoes and shirts of the shop', tags: ['buy', 'shoes'] })]),
    ];
    const decision = decided({ message: 'search shoes to buy' }, knowing(agents));
    expect(idsOf(decision)).toEqual(['shop', 'shop-2']);
    expect(evidenceOf(decision).candidates[2]).toMatchObject({ agent_id: 'web', capability: 'search', refused: 'low_score' });
  });

  it('keeps what the caller gave', () => {
    const decision = decided({ message: 'rain or sun?', parameters: { city: 'Oslo' } }, knowing(WORLD));
    expect(decision.ranked[0]!.parameters).toEqual({ city: 'Oslo' });
  });
});

describe('a language model', () => {
  const hybrid = (more: Partial<Knowledge> = {}) => knowing(WORLD, { settings: { strategy: 'hybrid', shown: 20, ...more } });
  const answer = (more: object = {}): JsonValue => ({
    agent_id: 'sky',
    capability: 'weather.forecast',
    parameters: { city: 'Rome' },
    confidence: 0.9,
    reasoning: 'It is about the weather.',
    alternatives: [],
    secondary_agents: [],
    ...more,
  });
  const SHOWN = [
    { agent_id: 'sky', capability: 'weather.forecast' },
    { agent_id: 'bank', capability: 'account.balance' },
  ];
  const reply = (more: Partial<Reply> = {}): Reply => ({ model: 'm', prompt: 'p', shown: SHOWN, of: 3, ms: 5, answer: answer(), ...more });
  const message = 'do I need an umbrella';

  it.each([
    ['hybrid', 'will there be rain or sun', false],
    ['hybrid', message, true],
    ['llm', 'will there be rain or sun', true],
    ['simple', message, false],
  ] as const)('is asked with strategy %s about "%s": %s', (strategy, words, asked) => {
    expect('ask' in route(asking({ message: words }), hybrid({ strategy }))).toBe(asked);
    expect('ask' in route(asking({ message: words }), hybrid({ strategy, shown: null }))).toBe(false);
  });

  it('is shown who can take it, each meaning once, cut to the nearest by words', () => {
    const agents = [
      ...WORLD,
      agent({ agent_id: 'sky-2' }, [...SKY.description.capabilities]),
      agent({ agent_id: 'off' }, [offers('y')], 'stopped'),
      agent({ agent_id: 'open' }, [offers('z')]),
    ];
    const around = { conditions: { open: { breaker: 'open' as const } }, places: { sky: { score: 2, turn: 2 } } };
    const shown = (settings: Partial<Knowledge>, previous?: string) => {
      const routed = route(
        asking({ message: 'my account has an umbrella', previous }),
        knowing(agents, { ...around, settings: { strategy: 'llm', shown: 20, ...settings } }),
      );
      return 'ask' in routed ? routed.ask : null;
    };
    const all = shown({})!;
    expect(all.shown.map(({ agent_id, capability }) => `${agent_id} ${capability}`)).toEqual([
      'bank account.balance',
      'bank card.block',
      'sky-2 weather.forecast',
    ]);
    expect(all.shown[2]).toMatchObject({ description: 'Tells what the weather will be', input_schema: CITY });
    expect(shown({}, 'sky')!.shown.map(({ agent_id }) => agent_id)).toContain('sky');
    expect(shown({ shown: 1 })).toMatchObject({ of: 3, shown: [{ capability: 'account.balance' }] });
  });

  it('decides; what it read is given, under what the caller gave', () => {
    const decision = decided({ message }, hybrid(), reply());
    expect([idsOf(decision), decision.ranked[0]!.parameters]).toEqual([['sky'], { city: 'Rome' }]);
    expect(evidenceOf(decision)).toMatchObject({ method: 'llm', confidence: 0.9, llm: reply() });
    expect(decided({ message, parameters: { city: 'Oslo' } }, hybrid(), reply()).ranked[0]!.parameters).toEqual({ city: 'Oslo' });
  });

  const useless: [string, { [K in keyof Reply]?: Reply[K] | undefined }, RegExp][] = [
    [
      'chooses who is not among the candidates',
      { answer: answer({ agent_id: 'admin', capability: 'root' }) },
      /chose "admin" with "root", which is not among/,
    ],
    ['chooses a pair that is none', { answer: answer({ capability: 'account.balance' }) }, /not among the candidates/],
    ['chooses what it was not shown', { answer: answer({ agent_id: 'bank', capability: 'card.block' }) }, /not among the candidates/],
    ['chooses nobody', { answer: answer({ agent_id: null, capability: null }) }, /none of the candidates/],
    ['is not sure', { answer: answer({ confidence: 0.69 }) }, /not sure enough: 0.69 is below 0.7/],
    ['answers in another form', { answer: { agent_id: 'sky' } }, /not the form/],
    ['is beyond certainty', { answer: answer({ confidence: 7 }) }, /not the form.*confidence/],
    ['cannot be had', { answer: undefined, error: 'HTTP 529' }, /HTTP 529/],
    [
      'chooses who is gone',
      { shown: [{ agent_id: 'old', capability: 'x' }], answer: answer({ agent_id: 'old', capability: 'x' }) },
      /gone meanwhile/,
    ],
  ];

  it.each(useless)('that %s decides nothing, and that is on the record', (_, more, why) => {
    const given = JSON.parse(JSON.stringify({ ...reply(), ...more })) as Reply; // without what is undefined
    const decision = decided({ message }, hybrid(), given);
    expect([idsOf(decision), decision.refused]).toEqual([[], 'nobody fits this message']);
    expect(evidenceOf(decision)).toMatchObject({
      method: 'none',
      llm: given,
      fell_back: [{ from: 'llm', why: expect.stringMatching(why) }],
    });
    const sure = decided({ message: 'will there be rain or sun' }, hybrid({ strategy: 'llm' }), given);
    expect([idsOf(sure), evidenceOf(sure).method]).toEqual([['sky'], 'lexical']);
  });

  it('that reads parameters which do not fit chooses all the same, and they are left out', () => {
    const decision = decided({ message }, hybrid(), reply({ answer: answer({ parameters: { city: 7 } }) }));
    expect([idsOf(decision), decision.ranked[0]!.parameters]).toEqual([['sky'], { city: message }]);
    expect(evidenceOf(decision).fell_back).toEqual([{ from: 'llm', why: expect.stringMatching(/parameters it read do not fit.*city/) }]);
  });

  it('gives a task that names its agent to nobody else, however alike the others are', () => {
    const twins = knowing([...WORLD, agent({ agent_id: 'sky-2' }, [...SKY.description.capabilities, offers('other')])], {
      settings: { strategy: 'llm', shown: 20 },
    });
    const chosen = reply({ shown: [{ agent_id: 'sky-2', capability: 'weather.forecast' }], answer: answer({ agent_id: 'sky-2' }) });
    expect(idsOf(decided({ message }, twins, chosen))).toEqual(['sky-2', 'sky']);
    expect(idsOf(decided({ agent_id: 'sky-2', message }, twins, chosen))).toEqual(['sky-2']);
  });

  it('does not make an agent take what it cannot', () => {
    const stopped = knowing([agent({ agent_id: 'sky' }, [...SKY.description.capabilities], 'stopped'), BANK], {
      settings: { strategy: 'hybrid', shown: 20 },
    });
    const decision = decided({ message }, stopped, reply());
    expect([idsOf(decision), decision.obstacle]).toEqual([[], 'stopped']);
  });
});

it('the same question and knowledge give the same decision, byte for byte', () => {
  const words = fc.constantFrom('rain', 'sun', 'lost', 'card', 'money', 'account', 'umbrella', 'please', 'the');
  const wish = fc.record(
    {
      message: fc.array(words, { minLength: 1, maxLength: 8 }).map((all) => all.join(' ')),
      capability: fc.constantFrom('card.block', 'account.balance', 'echo'),
      agent_id: fc.constantFrom('sky', 'bank', 'nobody'),
    },
    { requiredKeys: [] },
  );
  const breaker = fc.constantFrom('closed' as const, 'open' as const);
  fc.assert(
    fc.property(wish, breaker, fc.nat(3), (one, state, score) => {
      const around = {
        conditions: { bank: { breaker: state } },
        places: { sky: { score, turn: 1 } },
        settings: { strategy: 'hybrid' as const, shown: 5 },
      };
      const [first, second] = [1, 2].map(() => JSON.stringify(route(asking(one), knowing(WORLD, around))));
      expect(first).toBe(second);
    }),
    { numRuns: 200 },
  );
});
