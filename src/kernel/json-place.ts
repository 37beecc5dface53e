/// <reference lib="es2024.string" />

/** One step per open container: an array's `-1 - index`, an object's offset of the current key's quote, 0 before its first. */
export type Path = number[];

const SHOWN_CHARACTERS = 40;
const POINTER_CHARACTERS = 1024;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];

export function shorten(text: string): string {
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS - 1)}…`.toWellFormed();
}

export function excerpt(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8', start, end);
}

/** The key whose opening quote stands at `quote`, unless it is malformed itself. */
export function keyAt(bytes: Uint8Array, quote: number): string | undefined {
  let end = quote + 1;
  while (end < bytes.length && bytes[end] !== QUOTE) end += bytes[end] === BACKSLASH ? 2 : 1;
  try {
    return (JSON.parse(excerpt(bytes, quote, end + 1)) as string).toWellFormed();
  } catch {
    return undefined;
  }
}

/** RFC 6901 pointer to the member being read, or to the closest place around it whose pointer is short and whose keys can be read. */
export function pointerOf(bytes: Uint8Array, path: Path): string {
  let pointer = '';
  for (const step of path) {
    const token = step < 0 ? String(-1 - step) : keyAt(bytes, step);
    if (token === undefined || pointer.length + token.length >= POINTER_CHARACTERS) break;
    pointer += `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  }
  return pointer;
}

export function placeOf(bytes: Uint8Array, i: number): { line: number; column: number; found: string } {
  const lines = excerpt(bytes, 0, i).split('\n');
  const character = String.fromCodePoint(excerpt(bytes, i, i + 4).codePointAt(0) ?? 0);
  return {
    line: lines.length,
    column: lines.at(-1)!.length + 1,
    found: i < bytes.length ? JSON.stringify(character) : 'the end of the text',
  };
}
