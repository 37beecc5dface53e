import fc from 'fast-check';
import { allStatements, NOTHING } from '../../src/memory/block.js';
import { account, evidenceOf } from '../../src/memory/citations.js';
import { extract } from '../../src/memory/extract.js';
import { contract, contracts, id } from './statements.js';

describe('the extractive summarizer', () => {
  it('says the same of the same contracts', () => {
    fc.assert(fc.property(contracts(0, 12), (source) => expect(extract(structuredClone(source), null)).toEqual(extract(source, null))));
  });

  it('cites only what it was given, in every statement', () => {
    fc.assert(
      fc.property(contracts(0, 6), contracts(4, 12), (older, newer) => {
        const before = extract(older, null);
        const known = new Set([...older, ...newer].map((c) => c.id));
        for (const { contracts: cited } of allStatements(extract(newer, before))) {
          expect(cited.length).toBeGreaterThan(0);
          expect(cited.filter((one) => !known.has(one))).toEqual([]);
        }
      }),
    );
  });

  it('covers every contract', () => {
    fc.assert(
      fc.property(contracts(0, 12), (source) => {
        expect(account(extract(source, null), source, evidenceOf(source, null), null)).toMatchObject({ coverage: 1, not_covered: [] });
      }),
    );
  });

  it('quotes the record word for word, and guesses no preferences', () => {
    const { facts, preferences, sentences } = extract([contract(1), contract(2)], null);
    expect(facts[0]!.text).toBe('echo by agent_example_001, asked with {"text":"number 1"}, answered {"message":"Echo: number 1"}');
    expect(preferences).toEqual([]);
    expect(sentences).toEqual([{ text: 'echo by agent_example_001: 2 completed.', contracts: [id(1), id(2)] }]);
  });

  it('calls a plan a plan', () => {
    const values = { asked: '{}', plan: '{"mode":"parallel","steps":[]}', result: '{"steps":[]}' };
    const { facts, sentences } = extract([contract(1, { capability: null, agent: null, values })], null);
    expect([sentences[0]!.text, facts[0]!.text]).toEqual([
      'a plan: 1 completed.',
      'a plan, asked with {"mode":"parallel","steps":[]}, answered {"steps":[]}',
    ]);
  });

  it('puts an answer in the place of the question it answers', () => {
    const asked = extract([contract(1, { status: 'pending', response: null })], null);
    expect(asked.open_questions).toHaveLength(1);
    expect(extract([contract(1)], asked)).toMatchObject({ open_questions: [], facts: [{ contracts: [id(1)] }] });
  });

  it('says that the content is gone where it was erased', () => {
    expect(extract([contract(1, { values: {} })], null).facts[0]!.text).toContain('nothing that is still there');
  });

  it('keeps the newest fifty of each kind', () => {
    const many = Array.from({ length: 60 }, (_, n) => contract(n));
    const { facts } = extract(many.slice(30), extract(many.slice(0, 30), null));
    expect(facts).toHaveLength(50);
    expect(facts.at(-1)!.contracts).toEqual([id(59)]);
    expect(allStatements(extract([], NOTHING))).toEqual([]);
  });
});
