import fc from 'fast-check';
import { allStatements, NOTHING, SECTIONS } from '../../src/memory/block.js';
import { account, check, evidenceOf } from '../../src/memory/citations.js';
import { contract, contracts, id, reply, said } from './statements.js';

const keptOf = (text: string, cited: string[], known = [contract(1), contract(2)]) =>
  check({ ...NOTHING, facts: [{ text, contracts: cited }] }, evidenceOf(known, null));

/** A block over contracts 0 to 5, and what was said of contracts 4 to 9 on top of it. */
const world = fc.tuple(contracts(0, 6), said, contracts(4, 10), said).map(([older, saidBefore, newer, saidNow]) => {
  const before = evidenceOf(older, null);
  const { kept } = check(saidBefore, before);
  const previous = { ...kept, ...account(kept, older, before, null) };
  const evidence = evidenceOf(newer, previous as never);
  const checked = check(saidNow, evidence);
  return { older, newer, previous, saidNow, ...checked, ...account(checked.kept, newer, evidence, previous) };
});

describe('the check of citations', () => {
  it('keeps or reports every statement, and changes no word of what it keeps', () => {
    fc.assert(
      fc.property(world, ({ saidNow, kept, removed }) => {
        expect(allStatements(kept).length + removed.length).toBe(allStatements(saidNow).length);
        for (const section of SECTIONS)
          for (const { text } of kept[section]) expect(saidNow[section].map((s) => s.text.trim())).toContain(text);
      }),
    );
  });

  it('keeps nothing without a citation, and no citation that is not of the source', () => {
    fc.assert(
      fc.property(world, ({ older, newer, kept, previous }) => {
        const read = new Set(newer.map((c) => c.id));
        const cited = new Set(previous.citations.map((c) => c.contract_id));
        for (const { contracts: ids } of allStatements(kept)) {
          expect(ids.length).toBeGreaterThan(0);
          for (const one of ids) expect(read.has(one) || cited.has(one)).toBe(true);
          expect(new Set(ids).size).toBe(ids.length);
        }
        for (const one of cited) expect(older.map((c) => c.id)).toContain(one);
      }),
    );
  });

  it('accounts for every contract of the range: cited or not covered, never both', () => {
    fc.assert(
      fc.property(world, ({ newer, citations, not_covered, coverage }) => {
        const cited = citations.filter((c) => !c.carried).map((c) => c.contract_id);
        expect([...cited, ...not_covered].sort()).toEqual(newer.map((c) => c.id).sort());
        expect(coverage).toBe(newer.length === 0 ? 1 : cited.length / newer.length);
      }),
    );
  });

  it('accounts for every contract that the previous block cited: cited again or forgotten, never both', () => {
    fc.assert(
      fc.property(world, ({ previous, citations, forgotten }) => {
        const now = citations.map((c) => c.contract_id);
        const before = previous.citations.map((c) => c.contract_id);
        expect(before.filter((one) => now.includes(one) === forgotten.includes(one))).toEqual([]);
        expect(forgotten.filter((one) => !before.includes(one))).toEqual([]);
      }),
    );
  });

  it('takes either half of a contract for the contract', () => {
    expect(keptOf('Said.', [reply(1), id(1)]).kept.facts).toEqual([{ text: 'Said.', contracts: [id(1)] }]);
  });

  it.each([
    ['', [id(1)], 'says nothing'],
    ['Said.', [], 'cites no contract'],
    ['Said.', [id(1), id(3)], `cites ${id(3)}, which is no contract of the source`],
    ['It was 9.', [id(1)], 'the figure 9 stands in none of the contracts it cites'],
    ['It was 2.', [id(1)], 'the figure 2 stands in none of the contracts it cites'],
    ['It was ٩٩.', [id(1)], 'the figure ٩٩ stands in none of the contracts it cites'],
  ])('takes out %p citing %p, and says that it %s', (text, cited, reason) => {
    const { kept, removed } = keptOf(text, cited);
    expect(kept).toEqual(NOTHING);
    expect(removed).toEqual([{ section: 'facts', text, contracts: cited, reason }]);
  });

  it.each([
    ['It was 1,234.50 euros', '{"price":1234.5}'],
    ['It was 1234.5', '{"text":"1,234.50"}'],
    ['1, 2 and 3', '{"list":[1,2,3]}'],
    ['100,200', '{"list":[100,200]}'],
    ['version 1.2.3', '{"v":"1.2.3"}'],
    ['agent 007', '{"agent":7}'],
    ['٩٩ persons', '{"text":"٩٩"}'],
    ['order 01M80EPR7W2Y0Z609AXT6FY4XX', '{"order":"01M80EPR7W2Y0Z609AXT6FY4XX"}'],
    ['of 8f14e45f-ceea-467f-a9d3-3b1c7ad00b9e', '{"id":"8f14e45f-ceea-467f-a9d3-3b1c7ad00b9e"}'],
  ])('finds the figures of %p in %p', (text, values) => {
    expect(keptOf(text, [id(1)], [contract(1, { values: { result: values } })]).removed).toEqual([]);
  });

  it.each([
    ['It was 609.', '{"order":"01M80EPR7W2Y0Z609AXT6FY4XX"}'],
    ['It was 467.', '{"id":"8f14e45f-ceea-467f-a9d3-3b1c7ad00b9e"}'],
    ['order 01M80EPR7W2Y0Z609AXT6FY4XY', '{"order":"01M80EPR7W2Y0Z609AXT6FY4XX"}'],
  ])('takes the digits of an id for no figure: %p does not follow from %p', (text, values) => {
    expect(keptOf(text, [id(1)], [contract(1, { values: { result: values } })]).removed).toHaveLength(1);
  });

  it('lets figures about an older contract stand only if the previous block said them', () => {
    const before = evidenceOf([contract(1)], null);
    const { kept } = check({ ...NOTHING, facts: [{ text: 'It was number 1.', contracts: [id(1)] }] }, before);
    const previous = { ...kept, ...account(kept, [contract(1)], before, null) };
    const evidence = evidenceOf([contract(2)], previous as never);
    const now = (text: string) => check({ ...NOTHING, facts: [{ text, contracts: [id(1)] }] }, evidence).removed.length;
    expect([now('It was 1.'), now('It was at 10 o’clock.')]).toEqual([0, 1]); // 10 stands in the contract, which was not read again
  });
});
