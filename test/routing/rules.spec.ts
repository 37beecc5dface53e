import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RoutingFile, Rules } from '../../src/routing/rules.js';
import { termsOf, wordsOf, wordsOfName } from '../../src/routing/words.js';

const rulesOf = (rules: unknown[]) => new Rules(RoutingFile.parse({ rules }));
const confidences = (rules: Rules, message: string) => rules.match(message).map(({ capability, confidence }) => [capability, confidence]);

describe('rules', () => {
  const greeting = rulesOf([{ capability: 'greet', keywords: { hi: 0.9, 'good morning': 0.8 }, patterns: { '^yo+$': 0.7 } }]);

  it.each(['this', 'which', 'machine', 'ship it', 'morning, good', 'good  evening', ''])('that mean "hi" do not match "%s"', (message) => {
    expect(greeting.match(message)).toEqual([]);
  });

  it.each([
    ['hi', 0.9],
    ['Oh, HI!', 0.9],
    ['hi-fi', 0.9],
    ['Good\n morning to you', 0.8],
    ['good morning, hi', 0.98],
    ['YOOO', 0.7],
    ['ｈｉ', 0.9],
  ])('match "%s" with %p', (message, confidence) => {
    expect(confidences(greeting, message)).toEqual([['greet', confidence]]);
  });

  it('that come along send what the README says where the README says', () => {
    const read = (name: string) => readFileSync(join(__dirname, '../..', name), 'utf8');
    const own = new Rules(RoutingFile.parse(JSON.parse(read('data/routing.json'))));
    const [, message] = /orchestrate -s first -m "([^"]+)"/.exec(read('README.md'))!;
    const [best] = own.match(message!);
    expect([best?.capability, best!.confidence >= 0.7]).toEqual(['uppercase', true]);
  });

  it('are ranked by how sure they are, then by their order', () => {
    const rules = rulesOf([
      { capability: 'a', keywords: { red: 0.5 } },
      { capability: 'b', keywords: { red: 0.5, shoes: 0.2 } },
      { capability: 'c', keywords: { red: 0.5 } },
    ]);
    expect(confidences(rules, 'red shoes').map(([name]) => name)).toEqual(['b', 'a', 'c']);
  });

  it('take as long as the message, whatever the pattern', () => {
    const rules = rulesOf([{ capability: 'x', patterns: { '(a+)+$': 0.9, '(x|xx)*y': 0.9, '^(\\w+\\s?)*$': 0.9 } }]);
    const began = performance.now();
    rules.match(`${'a'.repeat(1999)}!`);
    rules.match('x'.repeat(100_000));
    expect(performance.now() - began).toBeLessThan(2000); // a backtracking engine takes for ever
  });

  it.each([
    [{ capability: 'x' }, 'needs keywords or patterns'],
    [{ capability: 'x', keywords: { '!?': 0.5 } }, 'must hold a word'],
    [{ capability: 'x', keywords: { a: 0 } }, '>0'],
    [{ capability: 'x', keywords: { a: 1.1 } }, '<=1'],
    [{ capability: 'x', patterns: { '(a)\\1': 0.5 } }, 'must be a regular expression of RE2'],
    [{ capability: 'x', patterns: { 'a(?=b)': 0.5 } }, 'must be a regular expression of RE2'],
    [{ capability: 'x', patterns: { '(': 0.5 } }, 'must be a regular expression of RE2'],
    [{ capability: 'not a name', keywords: { a: 0.5 } }, 'must be 1-128'],
    [{ capability: 'x', keywords: { a: 0.5 }, weight: 1 }, 'weight'],
  ])('like %j are refused: %s', (rule, why) => {
    const { error } = RoutingFile.safeParse({ rules: [rule] });
    expect(JSON.stringify(error?.issues)).toContain(why);
  });
});

describe('words', () => {
  it.each([
    ['getInvoicePDF', ['get', 'invoice', 'pdf']],
    ['send_mail-now', ['send', 'mail', 'now']],
    ['weather.forecast2', ['weather', 'forecast', '2']],
    ['Zürich déjà', ['zürich', 'déjà']],
  ])('of the name %s are %j', (name, words) => {
    expect(wordsOfName(name)).toEqual(words);
  });

  it('are compared by their stems, without those that say nothing', () => {
    expect(termsOf(wordsOf("What's the invoice of the invoicing customers'?"))).toEqual(['invoic', 'invoic', 'custom']);
    expect(termsOf(wordsOf('please do it for me'))).toEqual([]);
  });
});
