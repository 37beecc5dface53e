/** What others wrote must not speak to the terminal: control characters, and those that hide or reorder text, are shown by number. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
}

/** The same for a text of several lines, which stay lines. */
export const lines = (text: string): string => text.split('\n').map(printable).join('\n');

/** JSON of the same value without such characters: JSON.stringify escapes only those below U+0020. */
export function printableJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(/(?!\n)\p{C}/gu, escaped);
}

function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
