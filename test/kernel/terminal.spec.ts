import fc from 'fast-check';
import { printable, printableJson } from '../../src/kernel/printable.js';
import { coloursOf } from '../../src/kernel/terminal.system.js';

const anything = fc.string({ unit: 'binary' });

describe('what others wrote', () => {
  it('never speaks to the terminal', () => {
    fc.assert(
      fc.property(anything, (text) => {
        expect(printable(text)).not.toMatch(/\p{C}/u);
        expect(printableJson({ [text]: text })).not.toMatch(/\p{C}/u);
        expect(printableJson({ [text]: text }, 2).replaceAll('\n', '')).not.toMatch(/\p{C}/u);
      }),
    );
  });

  it('is the same value after it was shown as JSON', () => {
    fc.assert(fc.property(anything, fc.nat(4), (text, indent) => expect(JSON.parse(printableJson({ text }, indent))).toEqual({ text })));
    expect(printableJson({ text: '\x1b[2J\x9b\u202e\u{e0001}' })).toBe('{"text":"\\u001b[2J\\u009b\\u202e\\udb40\\udc01"}');
  });

  it('shows letters of every script as they are', () => {
    for (const text of ['Grüße', '你好', 'नमस्ते', '👍🏽']) expect([printable(text), JSON.parse(printableJson(text))]).toEqual([text, text]);
  });
});

describe('colours', () => {
  const colours = (isTTY: boolean, env: Record<string, string> = {}) => coloursOf({ write: () => true, isTTY }, env).isColorSupported;

  it('are for terminals that can', () => {
    expect([colours(true), colours(false), colours(true, { TERM: 'dumb' }), colours(false, { CI: '1' })]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('are turned off by NO_COLOR, on by FORCE_COLOR; off wins', () => {
    expect(colours(true, { NO_COLOR: '1' })).toBe(false);
    expect(colours(true, { NO_COLOR: '' })).toBe(true);
    expect(colours(false, { FORCE_COLOR: '1' })).toBe(true);
    expect(colours(true, { FORCE_COLOR: '0' })).toBe(false);
    expect(colours(true, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false);
  });
});
