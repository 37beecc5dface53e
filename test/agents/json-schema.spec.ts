import { AgentDescription } from '../../src/agents/agent.js';
import { compile, type JsonSchema, judge } from '../../src/agents/json-schema.js';
import { misfit } from '../../src/agents/schema-check.system.js';
import type { JsonValue } from '../../src/kernel/json.js';

const DRAFT_07 = 'http://json-schema.org/draft-07/schema#';
const object = (properties: { [name: string]: JsonValue }) => ({ type: 'object', properties });
const words = (schema: JsonSchema, value: JsonValue) => misfit(schema, value, '/parameters');

/** Each definition refers twice to the next: at the end of the chain stand 2^levels paths. */
const branching = (levels: number): JsonSchema => ({
  $ref: '#/$defs/d0',
  $defs: Object.fromEntries(
    Array.from({ length: levels + 1 }, (_, i) => {
      const next = { $ref: `#/$defs/d${i + 1}` };
      return [`d${i}`, i === levels ? { type: 'string' } : { allOf: [next, next] }];
    }),
  ),
});

describe('a value that does not fit its schema', () => {
  it.each<[string, JsonSchema, JsonValue, string]>([
    ['a missing property', { required: ['text'] }, {}, "/parameters must have required property 'text'"],
    ['a wrong type', object({ a: { type: 'string' } }), { a: 1 }, '/parameters/a must be string'],
    ['a name with / and ~', object({ 'a/b~c': { type: 'string' } }), { 'a/b~c': 1 }, '/parameters/a~1b~0c must be string'],
    ['an item', object({ a: { items: { minimum: 3 } } }), { a: [3, 2] }, '/parameters/a/1 must be >= 3'],
    ['a property too many', { additionalProperties: false }, { b: 1 }, '/parameters must NOT have the property "b"'],
    ['one that nothing evaluates', { unevaluatedProperties: false }, { b: 1 }, '/parameters must NOT have the property "b"'],
    [
      '`__proto__` too many',
      { additionalProperties: false },
      JSON.parse('{"__proto__":1}') as JsonValue,
      '/parameters must NOT have the property "__proto__"',
    ],
    ['a value of no list', object({ a: { enum: ['x', 3] } }), { a: 'y' }, '/parameters/a must be one of "x", 3'],
    ['another constant', object({ a: { const: { k: 1 } } }), { a: 1 }, '/parameters/a must be {"k":1}'],
    ['a pattern', object({ a: { pattern: '^a+$' } }), { a: 'b' }, '/parameters/a must match pattern "^a+$"'],
    ['a format', object({ a: { format: 'date-time' } }), { a: 'noon' }, '/parameters/a must match format "date-time"'],
    [
      'an item beyond a tuple',
      { prefixItems: [{ type: 'string' }], items: false },
      ['a', 'b'],
      '/parameters must NOT have more than 1 items',
    ],
  ])('is told where and why: %s', (_what, schema, value, said) => {
    expect(words(schema, value)).toBe(said);
  });

  it('is told every place, up to ten', () => {
    const schema = { items: { type: 'string' } };
    expect(words(schema, [1, 'x', 2])).toBe('/parameters/0 must be string; /parameters/2 must be string');
    const many = words(schema, Array(500).fill(1))!.split('; ');
    expect([many.length, many.at(-1)]).toEqual([11, 'and 490 more']);
  });

  it('is told the first place if it is large, for a list of errors is larger than what it is about', () => {
    expect(words({ items: { type: 'string' } }, Array(100_000).fill(1))).toBe('/parameters/0 must be string (and perhaps more)');
  });

  it('is told in few words whatever its names are', () => {
    const told = words({ additionalProperties: { type: 'string' } }, { ['k'.repeat(1e6)]: 1, '\u0000': 1 })!;
    expect(told.length).toBeLessThan(600);
  });

  it('leaves none of its words behind in the compiled schema', () => {
    const schema = { properties: { a: false } };
    words(schema, { a: 'private' });
    expect(words(schema, {})).toBeNull();
    expect(words(schema, { a: 'private' })).toBe('/parameters/a boolean schema is false');
  });
});

describe('a schema', () => {
  it.each<[string, JsonSchema, JsonValue]>([
    ['without anything', {}, [1]],
    [
      'with keywords and formats nobody knows',
      { 'x-ui': {}, widget: 1, id: 'urn:x', properties: { a: { format: 'colour' } } },
      { a: 'red' },
    ],
    ['with a multiple that binary numbers miss', object({ price: { multipleOf: 0.01 } }), { price: 19.99 }],
    ['that lets null in the OpenAPI way', object({ a: { type: 'string', nullable: true } }), { a: null }],
    [
      'that refers to the schema of schemas',
      object({ s: { $ref: 'https://json-schema.org/draft/2020-12/schema' } }),
      { s: { type: 'string' } },
    ],
    ['of draft-07', { $schema: DRAFT_07, definitions: { a: { type: 'string' } }, items: [{ $ref: '#/definitions/a' }] }, ['x', 1]],
    [
      'of 2019-09',
      { $schema: 'https://json-schema.org/draft/2019-09/schema', $recursiveAnchor: true, items: { $recursiveRef: '#' } },
      [[[]]],
    ],
    ['of 2020-12 by name', { $schema: 'https://json-schema.org/draft/2020-12/schema', $dynamicAnchor: 'x', type: 'object' }, {}],
  ])('%s works', (_what, schema, value) => {
    expect(words(schema, value)).toBeNull();
  });

  it('of draft-07 means what draft-07 means by it', () => {
    const schema = { $schema: DRAFT_07, items: [{ type: 'string' }], additionalItems: false };
    expect(words(schema, [1, 2])).toBe('/parameters must NOT have more than 1 items; /parameters/0 must be string');
  });

  it('asks for own properties: no object has a "constructor" unless somebody sent one', () => {
    expect(words({ required: ['constructor'] }, {})).toContain("'constructor'");
    expect(words({ required: ['constructor'] }, { constructor: 1 })).toBeNull();
  });

  it('never meets the schema of another agent that uses the same $id', () => {
    const named = (type: string) => ({ $id: 'https://example.com/same', ...object({ a: { $id: 'part', type } }) });
    const [text, number] = [named('string'), named('number')];
    expect([words(text, { a: 1 }), words(number, { a: 'x' })]).toEqual(['/parameters/a must be string', '/parameters/a must be number']);
    expect(() => compile({ $ref: 'https://example.com/same' })).toThrow('leads nowhere');
  });

  it('is compiled once', () => {
    const schema = { type: 'string' };
    expect(compile(schema)).toBe(compile(schema));
  });

  it('is judged once whatever document brings it, and each time with the same reason', () => {
    const large = () => object(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`p${i}`, { type: 'string', minLength: i }])));
    const time = (check: () => void) => {
      const from = performance.now();
      check();
      return performance.now() - from;
    };
    const first = time(() => judge()(large()));
    expect(Math.min(...Array.from({ length: 5 }, () => time(() => judge()(large()))))).toBeLessThan(first / 5);
    for (let i = 0; i < 2; i++) expect(() => judge()({ type: 'text' })).toThrow('no JSON Schema of draft/2020-12');
  });

  it.each<[string, JsonSchema, RegExp]>([
    [
      'that refers to another server',
      { $ref: 'https://example.com/x.json' },
      /\$ref "https:\/\/example\.com\/x\.json" leads nowhere; .*\$defs/,
    ],
    ['that refers to a missing definition', { items: { $ref: '#/$defs/gone' } }, /"#\/\$defs\/gone" leads nowhere/],
    ['with a type there is not', { type: 'text' }, /no JSON Schema of draft\/2020-12: \/type must be one of "array"/],
    ['with a broken regular expression', { pattern: '[a-' }, /pattern|regular expression/],
    [
      'of a dialect we do not speak',
      { $schema: 'http://json-schema.org/draft-04/schema#' },
      /draft-04.*not supported, only draft\/2020-12/,
    ],
    ['whose dialect is no text', { $schema: 7 }, /\$schema 7 is not supported/],
    ['that would answer with a promise, which always fits', { $async: true }, /\$async/],
    ['that hides such a one', { items: { $async: true, type: 'string' } }, /async/],
    ['over 64 KiB', { description: 'x'.repeat(65_536) }, /65\d{3} bytes, at most 65536/],
    ['that refers to itself in a circle', { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } }, /itself without end/],
  ])('%s is refused with its agent, and what to do', (_what, input_schema, said) => {
    const description = {
      agent_id: 'a',
      name: 'A',
      capabilities: [{ name: 'c' }, { name: 'd', input_schema }, { name: 'e', output_schema: input_schema }],
    };
    const { issues } = AgentDescription.safeParse(description).error!;
    expect(issues.map((issue) => issue.path.join('.'))).toEqual(['capabilities.1.input_schema', 'capabilities.2.output_schema']);
    for (const { message } of issues) expect(message).toMatch(said);
  });

  it('for a capability that stands there twice is nobody’s: the agent is refused', () => {
    const { issues } = AgentDescription.safeParse({ agent_id: 'a', name: 'A', capabilities: [{ name: 'c' }, { name: 'c' }] }).error!;
    expect(issues).toMatchObject([{ path: ['capabilities', 1, 'name'], message: expect.stringContaining('"c"') }]);
  });
});

describe('a check that would hold the process', () => {
  it.each<[string, JsonSchema, JsonValue]>([
    ['a regular expression that backtracks', object({ a: { pattern: '^(a+)+$' } }), { a: `${'a'.repeat(50)}!` }],
    ['references that branch at every level', branching(40), 'x'],
    ['100 000 items compared with each other', { uniqueItems: true }, Array.from({ length: 100_000 }, (_, i) => ({ i }))],
  ])('is ended after a second: %s', (_what, schema, value) => {
    const asked = performance.now();
    expect(words(schema, value)).toBe('/parameters cannot be checked against the schema: it takes longer than 1000 ms');
    expect(performance.now() - asked).toBeLessThan(10_000);
    expect(words(object({ a: { type: 'string' } }), { a: 1 })).toBe('/parameters/a must be string'); // the next is none the worse
  });

  it('by a schema that is itself its first condition is ended by its depth', () => {
    expect(words({ $ref: '#' }, 1)).toContain('cannot be checked against the schema: ');
  });
});
