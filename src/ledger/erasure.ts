/** What a payload.erased record orders, and what it explains to whoever finds payload missing. */
import type { JsonValue } from '../kernel/json.js';
import type { ErasedDisclosure, Members } from './record.js';

/** The key a stream is sealed with. */
export interface StreamKeyId {
  readonly stream: string;
  readonly key_id: string;
}

export interface ErasureOrder {
  /** Everything the events of these streams disclosed, up to this record. */
  readonly streams: readonly string[];
  /** Everything these events disclosed. */
  readonly events: readonly string[];
  readonly disclosures: readonly ErasedDisclosure[];
}

/** null: it is no payload.erased record. What in it cannot be understood orders and explains nothing. */
export function readOrder(record: Buffer): ErasureOrder | null {
  let members: Record<string, JsonValue>;
  try {
    members = JSON.parse(record.toString('utf8')) as Record<string, JsonValue>;
  } catch {
    return null;
  }
  if (members?.['type'] !== 'payload.erased') return null;
  const list = (name: string) => (Array.isArray(members[name]) ? members[name] : []);
  const texts = (name: string) => list(name).filter((value) => typeof value === 'string');
  const disclosures = list('disclosures') as unknown as ErasedDisclosure[];
  const named = disclosures.filter((d) => [d?.event, d?.name, d?.digest].every((text) => typeof text === 'string'));
  return { streams: texts('streams'), events: texts('events'), disclosures: named };
}

/** As many to a record as fit into its 60 KiB together; streams with a key each. */
const MOST = { streams: 400, events: 700, disclosures: 250 };

/** The members of the records that order this, as few as will do. */
export function membersOf({ events, disclosures }: Pick<ErasureOrder, 'events' | 'disclosures'>): Members[] {
  const records = Math.max(Math.ceil(events.length / MOST.events), Math.ceil(disclosures.length / MOST.disclosures));
  return Array.from({ length: records }, (_, i) => {
    const own = {
      events: events.slice(i * MOST.events, (i + 1) * MOST.events),
      disclosures: disclosures.slice(i * MOST.disclosures, (i + 1) * MOST.disclosures),
    };
    return { ...(own.events.length > 0 && { events: own.events }), ...(own.disclosures.length > 0 && { disclosures: own.disclosures }) };
  });
}

/** The same for whole streams, with the keys that are destroyed with them: a stream has one, or none. */
export function membersOfWhole(streams: readonly string[], keys: readonly StreamKeyId[]): Members[] {
  const keyOf = new Map(keys.map(({ stream, key_id }) => [stream, key_id]));
  return Array.from({ length: Math.ceil(streams.length / MOST.streams) }, (_, i) => {
    const own = streams.slice(i * MOST.streams, (i + 1) * MOST.streams);
    const going = own.flatMap((stream) => keyOf.get(stream) ?? []);
    return { streams: own, ...(going.length > 0 && { keys: going }) };
  });
}

/** One of a session's streams is enough to hold it as a whole: the newest go into the record of a hold, as many as fit. */
export const streamsToHold = (streams: readonly string[]): string[] => streams.slice(-MOST.streams);
