/** A memory block in MemAgent's words: a session id it takes, and notes no longer than it allows. */
import { type MemoryContent, SECTIONS, type Section } from '../../memory/block.js';
import { cut } from '../../memory/source.js';

export const NOTE_CHARACTERS = 500;
/** More of one block would drown what the session's reader looks for. */
const MOST_NOTES = 200;

const LABELS: Record<Section, string> = {
  sentences: 'summary',
  key_decisions: 'decision',
  facts: 'fact',
  preferences: 'preference',
  open_questions: 'open question',
  failures: 'failure',
};

/** One statement a note, with as many of its contract ids as fit; no note twice. */
export function notesOf(content: Pick<MemoryContent, Section>): string[] {
  const notes = SECTIONS.flatMap((section) =>
    content[section].map(({ text, contracts }) => {
      const cited = `[${contracts.slice(0, 3).join(', ')}${contracts.length > 3 ? ` and ${contracts.length - 3} more` : ''}]`;
      return `${cut(`${LABELS[section]}: ${text}`, NOTE_CHARACTERS - cited.length - 1)} ${cited}`;
    }),
  );
  return [...new Set(notes)].slice(0, MOST_NOTES);
}

/**
 * MemAgent wants ids that start with `session_`, and makes a directory of them. A name it would take unchanged is passed on, another plain one
 * gets the prefix; anything else, and every session of another tenant, is known there by the ULID of its stream.
 */
export function memagentSession(tenant: string, name: string | null, stream: string): string {
  const plain = tenant === 'default' && name !== null && /^[A-Za-z0-9_-]{1,100}$/.test(name);
  if (!plain) return `session_${stream.slice(stream.lastIndexOf('/') + 1)}`;
  return name.startsWith('session_') ? name : `session_${name}`;
}
