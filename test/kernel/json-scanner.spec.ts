import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { OrchestratorError } from '../../src/kernel/errors.js';
import { parseJson, parseJsonBytes } from '../../src/kernel/json.js';

type Choose = (options: number) => number;
/** What to plant at a depth, the rest of its pointer, and words of the message. */
type Defect = (depth: number) => [text: string, below: string, says: string];

function refused(text: string): OrchestratorError {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof OrchestratorError) return error;
    throw error;
  }
  throw new Error('accepted');
}

const names = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'a/b', '~1', '', '10', '9', '\u0000', '"\\', '\ud83d\ude00'),
);
/** Long runs between escapes, which the scanner does not walk. */
const longTexts = fc
  .array(fc.tuple(fc.nat({ max: 90 }), fc.constantFrom('"', '\\', '\n', 'é')), { minLength: 1, maxLength: 5 })
  .map((runs) => runs.map(([n, end]) => 'x'.repeat(n) + end).join(''));
const numbers = fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => !unsafe(n));
const scalars = fc.oneof(
  fc.constantFrom(null, true, false, -0, 2 ** 53 - 1),
  fc.integer(),
  numbers,
  longTexts,
  fc.string({ unit: 'grapheme', maxLength: 60 }),
);
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalars,
    fc.array(tie('json'), { maxLength: 4 }),
    fc.array(fc.tuple(names, tie('json')), { maxLength: 4 }).map(fromEntries),
  ),
}));
const containers = json.filter((value) => typeof value === 'object' && value !== null);
const choices = fc.noShrink(fc.infiniteStream(fc.nat()));

function unsafe(n: number): boolean {
  return Number.isInteger(n) && !Number.isSafeInteger(n) && Math.abs(n) < 1e21;
}

function fromEntries(entries: [string, unknown][]): object {
  return JSON.parse(`{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`);
}

/** Any legal way of writing a value. A plant replaces the text of one member, or writes it a second time under the same key. */
function print(value: unknown, choose: Choose, plant?: { at: string; text?: string }, at = ''): string {
  const space = () => ['', '', '', ' ', '\n', '\t\r\n  '][choose(6)]!;
  const inner = (key: string | number, item: unknown) =>
    print(item, choose, plant, `${at}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`);
  const text = () => {
    if (typeof value === 'string') return printString(value, choose);
    if (typeof value === 'number')
      return Object.is(value, -0) ? '-0' : [String(value), value.toExponential(), value.toExponential().toUpperCase()][choose(3)]!;
    if (typeof value !== 'object' || value === null) return String(value);
    if (Array.isArray(value)) return `[${value.map((item, i) => inner(i, item)).join(',') || space()}]`;
    const members = Object.entries(value).flatMap(([key, item]) => {
      const place = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      const again = plant?.at === place && plant.text === undefined;
      const member = () => `${space()}${printString(key, choose)}${space()}:${inner(key, item)}`;
      return again ? [member(), member()] : [member()];
    });
    return `{${members.join(',') || space()}}`;
  };
  return space() + (plant?.at === at && plant.text !== undefined ? plant.text : text()) + space();
}

function printString(value: string, choose: Choose): string {
  const short: Record<string, string> = {
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '"': '\\"',
    '\\': '\\\\',
    '/': '\\/',
  };
  const unit = (c: string) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const written = Array.from(value, (character) => {
    const escaped = Array.from({ length: character.length }, (_, i) => unit(character[i]!)).join('');
    const way = choose(character === 'x' ? 500 : 5);
    if (way === 0) return escaped.replace(/[a-f]/g, (digit) => digit.toUpperCase());
    if (short[character] !== undefined && (way < 4 || character !== '/')) return short[character];
    return character < ' ' ? escaped : character;
  });
  return `"${written.join('')}"`;
}

function places(value: unknown, at = ''): { at: string; depth: number; inObject: boolean }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const place = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    const depth = at.split('/').length;
    return [{ at: place, depth, inObject: !Array.isArray(value) }, ...places(item, place)];
  });
}

const chooser =
  (stream: Iterator<number>): Choose =>
  (options) =>
    (stream.next().value as number) % options;

/** The rules a second time, slowly: by tokens of a text that JSON.parse has already found well formed. */
function breaksARule(text: string): boolean {
  const open: (Set<string> | null)[] = [];
  const tokens = [...text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[-+.\deE]*|[[\]{}:]/gs)].map(([token]) => token);
  return tokens.some((token, i) => {
    if (token === '{' || token === '[') return open.push(token === '{' ? new Set() : null) > 64;
    if (token === '}' || token === ']') open.pop();
    if (/^[-\d]/.test(token))
      return !Number.isFinite(Number(token)) || unsafe(Number(token)) || (/^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)));
    if (!token.startsWith('"')) return false;
    const value: string = JSON.parse(token);
    const seen = open.at(-1);
    const twice = tokens[i + 1] === ':' && seen?.has(value);
    if (tokens[i + 1] === ':') seen?.add(value);
    return twice || /\p{Surrogate}/u.test(value) || /\p{Surrogate}/u.test(token);
  });
}

function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

describe('parseJson', () => {
  it('reads every legal way of writing a value as JSON.parse does', () => {
    const claim = fc.property(json, choices, (value, stream) => {
      const text = print(value, chooser(stream));
      expect(isDeepStrictEqual(parseJson(text), JSON.parse(text))).toBe(true);
      expect(isDeepStrictEqual(parseJsonBytes(new TextEncoder().encode(text)), JSON.parse(text))).toBe(true);
    });
    fc.assert(claim, { numRuns: 500 });
  });

  it('refuses one defect anywhere in a text with the pointer of exactly that place', () => {
    const depthLeft = (depth: number) => 64 - depth;
    const defects: Defect[] = [
      () => ['9007199254740993', '', 'integer 9007199254740993'],
      () => ['-9007199254740992', '', 'integer -9007199254740992'],
      () => ['9007199254740992.0', '', 'integer 9007199254740992.0'],
      () => ['12e17', '', 'integer 12e17'],
      () => ['5e20', '', 'integer 5e20'],
      () => [`1${'0'.repeat(400)}`, '', 'integer 1000'],
      () => ['-1e999', '', 'number -1e999'],
      () => ['"x\\uD800"', '', 'surrogate'],
      ...['d800\\u0041', 'd800\\uffff', 'dc00\\udc00', 'dfff', 'dbffx'].map(
        (units): Defect =>
          () => [`"\\u${units}"`, '', 'surrogate'],
      ),
      () => ['"\ud800"', '', 'surrogate'],
      () => ['"\ud83d\\ude00"', '', 'surrogate'],
      () => ['"\\ud83d\ude00"', '', 'surrogate'],
      () => ['[{"\\udc00x":1}]', '/0/\ufffdx', 'surrogate'],
      () => ['{"\udc00":1}', '/\ufffd', 'surrogate'],
      () => ['{"k":1,"b":2,"\\u006b":{}}', '/k', 'key "k"'],
      (depth) => ['['.repeat(1 + depthLeft(depth)) + ']'.repeat(1 + depthLeft(depth)), '/0'.repeat(depthLeft(depth)), 'deeper than 64'],
      (depth) => [
        '{"d":'.repeat(1 + depthLeft(depth)) + 1 + '}'.repeat(1 + depthLeft(depth)),
        '/d'.repeat(depthLeft(depth)),
        'deeper than 64',
      ],
    ];
    const claim = fc.property(containers, choices, fc.nat(), fc.constantFrom(...defects), (value, stream, pick, defect) => {
      const all = places(value);
      fc.pre(all.length > 0);
      const { at, depth } = all[pick % all.length]!;
      const [text, below, says] = defect(depth);
      const error = refused(print(value, chooser(stream), { at, text }));
      expect(error).toMatchObject({ code: 'invalid_json', pointer: at + below, message: expect.stringContaining(says) });
    });
    fc.assert(claim, { numRuns: 1500 });
  });

  it('refuses a member that stands a second time in its object, however its key is written', () => {
    const claim = fc.property(containers, choices, fc.nat(), (value, stream, pick) => {
      const members = places(value).filter((place) => place.inObject);
      fc.pre(members.length > 0);
      const { at } = members[pick % members.length]!;
      expect(refused(print(value, chooser(stream), { at }))).toMatchObject({ code: 'invalid_json', pointer: at });
    });
    fc.assert(claim, { numRuns: 500 });
  });

  it('accepts a damaged text exactly when JSON.parse does and no rule is broken', () => {
    const scraps = fc.constantFrom(
      ...'{}[],:"\\/0123456789.-+eE \n\ttrufalsn',
      '\\u',
      '\\ud83d',
      '\\ude00',
      '\u0001',
      '\ufeff',
      '"a":',
      '1e',
      '99999999',
      'é',
      '\ud800',
    );
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 3 }), fc.array(scraps, { maxLength: 3 })), { minLength: 1, maxLength: 3 });
    let survivors = 0;
    const claim = fc.property(json, choices, edits, (value, stream, list) => {
      let text = print(value, chooser(stream));
      for (const [at, drop, add] of list) {
        const i = at % (text.length + 1);
        text = text.slice(0, i) + add.join('') + text.slice(i + drop);
      }
      const expected = parsed(text);
      if (expected && !breaksARule(text)) {
        survivors++;
        expect(isDeepStrictEqual(parseJson(text), expected.value)).toBe(true);
      } else if (expected) expect(refused(text).message).not.toContain('malformed');
      else expect(refused(text)).toMatchObject({ code: 'invalid_json', message: expect.not.stringContaining('cannot be read') });
    });
    fc.assert(claim, { numRuns: 4000 });
    expect(survivors).toBeGreaterThan(200);
  });
});
