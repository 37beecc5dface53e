import { newId, newSalt, now } from '../kernel/ids.system.js';
import type { JsonValue } from '../kernel/json.js';
import { type Disclosure, type Draft, disclose, type EventType, type Members } from './record.js';

/** A new event: its id (unless it was foretold), time and salts are chosen here, once. Payload values that are undefined are left out. */
export function newDraft(type: EventType, members: Members, payload: Record<string, JsonValue | undefined> = {}, id = newId()): Draft {
  const disclosures: Disclosure[] = [];
  for (const [name, value] of Object.entries(payload)) if (value !== undefined) disclosures.push(newDisclosure(name, value));
  return { id, type, time: now(), members, disclosures };
}

export const newDisclosure = (name: string, value: JsonValue): Disclosure => disclose(newSalt(), name, value);
