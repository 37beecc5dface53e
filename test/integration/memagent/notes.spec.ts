import fc from 'fast-check';
import { memagentSession, notesOf } from '../../../src/integration/memagent/notes.js';
import { NOTHING } from '../../../src/memory/block.js';
import { id } from '../../memory/statements.js';

const STREAM = `default/session/${id(7)}`;
const block = (text: string, contracts: string[]) => notesOf({ ...NOTHING, facts: [{ text, contracts }] } as never);

describe('a block in MemAgent’s words', () => {
  it('is a note for each statement, never longer than 500 characters, never half a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 2000 }), fc.integer({ min: 1, max: 9 }), (text, n) => {
        const [note, ...more] = block(
          text,
          Array.from({ length: n }, (_, i) => id(i)),
        );
        expect(more).toEqual([]);
        expect(note!.length).toBeLessThanOrEqual(500);
        if (text.isWellFormed()) expect(note!.isWellFormed()).toBe(true);
        expect(note).toContain(id(0));
      }),
    );
  });

  it('names three contracts and counts the others', () => {
    expect(block('Said.', [id(1), id(2), id(3), id(4)])).toEqual([`fact: Said. [${id(1)}, ${id(2)}, ${id(3)} and 1 more]`]);
  });

  it.each([
    ['chat', 'session_chat'],
    ['session_chat', 'session_chat'],
    ['../etc', `session_${id(7)}`],
    ['Fußball', `session_${id(7)}`],
    [null, `session_${id(7)}`],
  ])('calls the session %p %p', (name, expected) => expect(memagentSession('default', name, STREAM)).toBe(expected));

  it('keeps the sessions of other tenants apart', () => {
    expect(memagentSession('acme', 'chat', STREAM)).toBe(`session_${id(7)}`);
  });
});
