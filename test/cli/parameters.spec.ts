import { readObject, readParameters } from '../../src/cli/parameters.js';
import { OrchestratorError } from '../../src/kernel/errors.js';

const refusal = (read: () => unknown): string => {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(OrchestratorError);
    return (error as Error).message;
  }
  throw new Error('was not refused');
};

describe('parameters on the command line', () => {
  it.each<[string, unknown]>([
    ['text=Hello, world!', { text: 'Hello, world!' }],
    ['text=', { text: '' }],
    ['text=two\nlines', { text: 'two\nlines' }],
    ['text=a=b:=c', { text: 'a=b:=c' }],
    ['n=3', { n: '3' }],
    ['n:=3', { n: 3 }],
    ['n:=-0.5e3', { n: -500 }],
    ['flag:=true', { flag: true }],
    ['list:=["a",{"b":null}]', { list: ['a', { b: null }] }],
    ['quoted:="a=b"', { quoted: 'a=b' }],
    ['a:b=1', { 'a:b': '1' }],
    ['ключ=значение', { ключ: 'значение' }],
  ])('%j is read as %j', (word, read) => expect(readParameters([word])).toEqual(read));

  it('come on top of a document, and keep names that mean something to JavaScript', () => {
    const read = readParameters(['b=new', '__proto__=x'], { a: 1, b: 'old' });
    expect(JSON.stringify(read)).toBe('{"a":1,"b":"new","__proto__":"x"}');
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
  });

  it.each<[string[], RegExp]>([
    [['hello'], /"hello" is no parameter: write name=value/],
    [['=hello'], /is no parameter/],
    [['a=1', 'a:=2'], /"a" is given twice/],
    [['n:={'], /^n: /],
    [['n:=9007199254740993'], /^n: .*9007199254740993/],
    [['n:={"a":1,"a":2}'], /^n: .*\(at \/a\)$/],
  ])('%j is refused, saying why', (words, why) => expect(refusal(() => readParameters(words))).toMatch(why));

  it.each(['[]', 'null', '"text"', '3'])('a document %s is refused: it must be an object', (text) => {
    expect(refusal(() => readObject('--parameters', text))).toMatch(/^--parameters must be a JSON object/);
  });
});
