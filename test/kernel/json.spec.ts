import { OrchestratorError } from '../../src/kernel/errors.js';
import { parseJson, parseJsonBytes, toJsonValue } from '../../src/kernel/json.js';

function refusal(run: () => unknown): OrchestratorError {
  try {
    run();
  } catch (error) {
    if (error instanceof OrchestratorError) return error;
    throw error;
  }
  throw new Error('accepted');
}
const refused = (text: string) => refusal(() => parseJson(text));

describe('parseJson', () => {
  it.each([
    ['', 'line 1, column 1: expected a value, found the end of the text'],
    ['{"a":1,\n "b" 2}', 'line 2, column 6: expected ":", found "2"'],
    ['{"é😀": tru}', 'line 1, column 12: expected "true", found "}"'],
    ['[1,]', 'line 1, column 4: expected a value, found "]"'],
    ['{"a":1,}', 'line 1, column 8: expected a key in double quotes, found "}"'],
    ['[1 2]', 'line 1, column 4: expected "," or "]", found "2"'],
    ['01', 'line 1, column 2: expected the end of the text, found "1"'],
    ['"\\x"', 'line 1, column 2: expected an escape that JSON knows'],
    [`["${'x'.repeat(100)}\u0001"]`, 'line 1, column 103: expected an escape such as \\n or \\u0000'],
    ['"\\u00g0"', 'line 1, column 2: expected four hexadecimal digits'],
    ['[\u000b1]', 'line 1, column 2: expected a value, found "\\u000b"'],
    ['"abc', 'line 1, column 5: expected a closing quote, found the end of the text'],
  ])('says where %j is malformed and what stands there', (text, says) => {
    expect(refused(text).message).toContain(says);
  });

  it('shows at most 40 characters of what was sent and says what to do', () => {
    expect(refused('9'.repeat(500)).message).toBe(
      `The integer ${'9'.repeat(39)}… is beyond ±(2^53 − 1) and would not stay what it is: send it as a string.`,
    );
    const key = 'k'.repeat(2000);
    const twice = refused(`{"outer":{"${key}":1,"${key}":2}}`);
    expect(twice).toMatchObject({ message: `The key "${'k'.repeat(39)}…" stands twice in one object: send it once.`, pointer: '/outer' });
  });

  it('refuses a byte order mark at the front and keeps one inside a string', () => {
    expect(refused('\ufeff{}').message).toContain('byte order mark');
    expect(refusal(() => parseJsonBytes(Buffer.from('\ufeff{}'))).message).toContain('byte order mark');
    expect(parseJsonBytes(Buffer.from('"\ufeff"'))).toBe('\ufeff');
  });

  it('refuses bytes that are not UTF-8 and reads a view into a larger buffer', () => {
    for (const bad of [
      [0x22, 0xff, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xc3],
    ])
      expect(refusal(() => parseJsonBytes(Uint8Array.from(bad)))).toMatchObject({
        code: 'invalid_json',
        message: expect.stringContaining('UTF-8'),
      });
    const view = new TextEncoder().encode('xx{"a":{"b":1e999}}xx').subarray(2, -2);
    expect(refusal(() => parseJsonBytes(view)).pointer).toBe('/a/b');
  });

  it('keeps __proto__ and constructor as ordinary members and pollutes nothing', () => {
    const value = parseJson('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}') as object;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect({}).not.toHaveProperty('polluted');
    expect(refused('{"__proto__":1,"__proto__":2}').pointer).toBe('/__proto__');
  });

  it('keeps a NUL, 2^53 - 1, tiny and huge floating-point numbers', () => {
    const text = '["\\u0000",9007199254740991,-9007199254740991,9007199254740991.4,5e-324,1e-999,1e21,1.7976931348623157e308,0e999]';
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  it('allows 64 levels, or as many as it is told', () => {
    const levels = (n: number) => '['.repeat(n) + ']'.repeat(n);
    expect(parseJson(levels(64))).toBeDefined();
    expect(refused(levels(65)).pointer).toBe('/0'.repeat(64));
    expect(parseJson(levels(100_000), { maxDepth: 100_000 })).toBeDefined();
    expect(refusal(() => parseJson('[[1]]', { maxDepth: 1 })).pointer).toBe('/0');
  });

  it('needs time in proportion to a hostile text', () => {
    const keys = Array.from({ length: 100_000 }, (_, i) => `"k${i}":${i}`).join();
    const accepted = [`{${keys}}`, `"${'x\\"'.repeat(3e5)}"`, `[${'1e5,'.repeat(2e5)}1]`];
    const hostile = [
      '['.repeat(1e6),
      '{"":'.repeat(3e5),
      `{${keys},"k99999":0}`,
      `"${'\\\\'.repeat(5e5)}`,
      ' '.repeat(1e6),
      '9'.repeat(1e6),
    ];
    hostile.push(`["${'é'.repeat(1e6)}\ud800"]`, `-1.${'0'.repeat(1e6)}e${'9'.repeat(1e6)}`, `["${'x'.repeat(1e6)}\n"]`);
    const quick = (run: () => unknown) => {
      const start = performance.now();
      run();
      expect(performance.now() - start).toBeLessThan(15_000); // minutes if it were quadratic; the machine may be busy
    };
    for (const text of accepted) quick(() => parseJson(text));
    for (const text of hostile) quick(() => refused(text));
  });
});

describe('toJsonValue', () => {
  it('turns plain JavaScript into the data JSON.stringify would write', () => {
    const value = { when: new Date(0), none: undefined, list: [undefined, null, -0], call: () => 1 };
    expect(toJsonValue(value)).toStrictEqual({ when: '1970-01-01T00:00:00.000Z', list: [null, null, 0] });
    expect(toJsonValue(undefined)).toBeNull();
  });

  it('refuses what JSON cannot say or would change', () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const angry = {
      toJSON: () => {
        throw new TypeError('x'.repeat(500));
      },
    };
    for (const value of [
      cycle,
      deep,
      angry,
      1n,
      () => 1,
      Symbol('s'),
      [Number.NaN],
      { a: Number.POSITIVE_INFINITY },
      2 ** 53,
      ['\ud800'],
    ]) {
      const error = refusal(() => toJsonValue(value));
      expect(error.code).toBe('invalid_json');
      expect(error.message.length).toBeLessThan(160);
    }
    expect(refusal(() => toJsonValue({ a: [2 ** 60] })).pointer).toBe('/a/0');
  });

  it('refuses more bytes than it may have, and more than a text can hold', () => {
    expect(toJsonValue(['é'], 6)).toEqual(['é']);
    expect(refusal(() => toJsonValue(['é'], 5))).toMatchObject({ code: 'payload_too_large', message: expect.stringContaining('5 bytes') });
    const beyond = Array(9).fill('x'.repeat(2 ** 26));
    expect(refusal(() => toJsonValue(beyond)).code).toBe('payload_too_large');
  });
});
