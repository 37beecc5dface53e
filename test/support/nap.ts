/** A call of `sleeps` that lasts until the test ends it: what is asked meanwhile is asked in time on any machine. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchDirectory } from './place.js';
import { noted } from './recorded.js';

export interface Nap {
  readonly parameters: { note: string; until: string };
  /** Resolves when the agent has it. */
  begun(): Promise<void>;
  wake(): Promise<void>;
}

export async function nap(): Promise<Nap> {
  const directory = await scratchDirectory();
  const [note, until] = [join(directory, 'note'), join(directory, 'wake')];
  return { parameters: { note, until }, begun: () => noted(note, 'started'), wake: () => writeFile(until, '') };
}
