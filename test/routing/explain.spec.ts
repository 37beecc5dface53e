import { explain } from '../../src/routing/explain.js';

const got = { agent_id: 'a', capability: 'x', error: null };

describe('a recorded decision in words', () => {
  it('of the first version is told as far as it says anything', () => {
    expect(explain({ method: 'capability', candidates: ['a', 'b'] }, got)).toEqual([
      'a got it as x: the caller named the capability.',
      'Candidates:',
      '  a',
      '  b',
    ]);
  });

  it('names scores, refusals and who was tried before', () => {
    const evidence = {
      method: 'capability',
      registry: 7,
      balancing: 'score',
      candidates: [
        { agent_id: 'a', capability: 'x', score: 0.9, turn: 2 },
        { agent_id: 'b', capability: 'x', refused: 'breaker_open' },
      ],
      more: 3,
      passed_over: [{ agent_id: 'c', reason: 'over_limit' }],
      attempt: 2,
      after: { contract_id: 'R1', agent_id: 'd', error_code: 'agent_unreachable' },
    };
    expect(explain(evidence, got)).toEqual([
      'a got it as x: the caller named the capability.',
      'Candidates, ranked by score:',
      '  a as x (score 0.9, turn 2)',
      '  b as x: breaker_open',
      '  and 3 more',
      'Passed over when it came to the call: c, over_limit',
      'Attempt 2, after contract R1 at d ended agent_unreachable.',
      'The registry was known up to idx 7.',
    ]);
  });

  it('says what part meaning had, where it had one', () => {
    const candidates = [{ agent_id: 'a', capability: 'x', match: 4.5, meaning: 13.5 }];
    expect(explain({ method: 'lexical', candidates, lexical: { confidence: 0.8, meaning: 0.75 } }, got).slice(1)).toEqual([
      'Candidates:',
      '  a as x (match 4.5, meaning 13.5)',
      'By words and their meaning the nearest is meant with 0.8; 75 % of how near it is comes from meaning.',
    ]);
    expect(explain({ method: 'lexical', candidates: ['a'], lexical: { confidence: 0.8 } }, got).at(-1)).toBe(
      'By words alone the nearest is meant with 0.8.',
    );
  });

  it.each<[string, Parameters<typeof explain>[0], string]>([
    ['that was erased', null, 'not on the record'],
    ['of a form nobody knows', { method: 7 }, 'cannot read'],
    ['of a method nobody knows', { method: 'dice' }, 'a got it as x: dice.'],
    [
      'whose model answered nonsense',
      { method: 'none', llm: { model: 'm', prompt: 'p', shown: [], of: 1, ms: 2, answer: 'nonsense' } },
      'its answer could not be read',
    ],
  ])('%s is no error', (_, evidence, words) => {
    expect(explain(evidence, got).join('\n')).toContain(words);
  });
});
