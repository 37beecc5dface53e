import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { canonicalJson, isCanonical } from '../../src/kernel/canonical.js';
import { OrchestratorError } from '../../src/kernel/errors.js';
import { type JsonValue, parseJson } from '../../src/kernel/json.js';

const double = (bits: string) => Buffer.from(bits, 'hex').readDoubleBE();

/** RFC 8785, appendix B. */
const NUMBERS: [bits: string, text: string][] = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
];

const names = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 5 }),
  fc.constantFrom('__proto__', 'toJSON', '', '10', '9', '\ufb33', '\ud83d\ude00'),
);
const { json } = fc.letrec<{ json: JsonValue }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false, 0, 2 ** 53 - 1),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true, noInteger: true }),
    fc.string({ unit: 'grapheme' }),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.array(fc.tuple(names, tie('json')), { maxLength: 5 }).map(fromEntries),
  ),
}));

function fromEntries(entries: [string, JsonValue][]): JsonValue {
  const members: Record<string, JsonValue> = {};
  for (const [key, value] of entries) Object.defineProperty(members, key, { value, enumerable: true, writable: true, configurable: true });
  return members;
}

function reversed(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]): [string, JsonValue] => [key, reversed(item)]);
  return fromEntries(entries.reverse());
}

describe('canonicalJson', () => {
  it('writes the example of RFC 8785, section 3.2.2, as the bytes of section 3.2.4', () => {
    const sample = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    const bytes = `7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a5b3333333333333333332e333333333333
      332c31652b33302c342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d`;
    const text = canonicalJson(parseJson(sample) as JsonValue);
    expect(text).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
    expect(Buffer.from(text).toString('hex')).toBe(bytes.replace(/\s/g, ''));
  });

  it('sorts keys by UTF-16 code units as the example of RFC 8785, section 3.2.3, does', () => {
    const sample = String.raw`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",
      "\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`;
    const order = ['Carriage Return', 'One', 'Control', 'Latin Small Letter O With Diaeresis', 'Euro Sign', 'Emoji: Grinning Face'];
    const text = canonicalJson(parseJson(sample) as JsonValue);
    const values = [...text.matchAll(/:"([^"]+)"/g)].map(([, value]) => value);
    expect(values).toEqual([...order, 'Hebrew Letter Dalet With Dagesh']);
  });

  it.each(NUMBERS)('writes the double %s of RFC 8785, appendix B, as %s', (bits, text) => {
    expect(canonicalJson(double(bits))).toBe(text);
  });

  it('sorts what looks like an array index as text', () => {
    expect(canonicalJson({ 10: 1, 9: 2, 1: 3, b: 4, '': 5 })).toBe('{"":5,"1":3,"10":1,"9":2,"b":4}');
  });

  it('escapes control characters, quotes and backslashes and nothing else', () => {
    const controls = String.fromCharCode(...Array(32).keys());
    const short = String.raw`\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f`;
    const rest = String.raw`\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f`;
    expect(canonicalJson(controls)).toBe(`"${short}${rest}"`);
    expect([canonicalJson('"'), canonicalJson('\\'), canonicalJson('\n')]).toEqual(['"\\""', '"\\\\"', '"\\n"']);
    expect(canonicalJson('"\\/\u007f\u2028\ufeff😀')).toBe('"\\"\\\\/\u007f\u2028\ufeff😀"');
  });

  it('parses back to the same value, is its own canonical form and does not depend on the order of keys', () => {
    const claim = fc.property(json, (value) => {
      const text = canonicalJson(value);
      expect(isDeepStrictEqual(parseJson(text), JSON.parse(JSON.stringify(value)))).toBe(true);
      expect(canonicalJson(JSON.parse(text))).toBe(text);
      expect(canonicalJson(reversed(value))).toBe(text);
      expect(isCanonical(text)).toBe(true);
    });
    fc.assert(claim, { numRuns: 500 });
  });

  it('refuses as a bug of ours whatever is not plain JSON data', () => {
    class Box {
      value = 1;
    }
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    const strange = [
      undefined,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      1n,
      Symbol('s'),
      () => 1,
      '\ud800',
      'a\udc00',
      new Date(0),
      new Map(),
      new Box(),
    ];
    const holes = [undefined];
    holes.length = 2;
    for (const value of [...strange, ...strange.map((item) => ({ a: [item] })), { '\udc00': 1 }, holes, cycle, new Uint8Array(1)]) {
      expect(() => canonicalJson(value as JsonValue)).toThrow(OrchestratorError);
      expect(() => canonicalJson(value as JsonValue)).toThrow(expect.objectContaining({ code: 'internal' }));
    }
  });

  it('takes objects without a prototype and objects of another realm', () => {
    expect(canonicalJson(Object.assign(Object.create(null), { b: 1, a: 2 }))).toBe('{"a":2,"b":1}');
    expect(canonicalJson(structuredClone({ b: [1], a: 2 }))).toBe('{"a":2,"b":[1]}');
  });
});

describe('isCanonical', () => {
  it.each(['{"a":1,"b":[]}', '"€"', '0', '1e+21'])('says yes to %s', (text) => {
    expect(isCanonical(text)).toBe(true);
  });

  it.each([
    '{"b":1,"a":2}',
    '{"a": 1}',
    '1.0',
    '1e21',
    '-0',
    '"\\u20ac"',
    '"\\/"',
    '{"a":1,"a":1}',
    '9007199254740992',
    '"\\ud800"',
    '{',
    '',
  ])('says no to %s', (text) => {
    expect(isCanonical(text)).toBe(false);
  });
});
