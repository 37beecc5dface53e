/** The erasable part of an event against the digests in its record, and what explains that some of it is gone. */
import type { JsonValue } from '../kernel/json.js';
import { disclosureDigest, recordHash } from '../ledger/record.js';
import { type Envelope, isCanonicalOf } from './verify-record.js';
import { type Place, type Report, show } from './verify-report.js';

/** A row of `payload`. Nothing of `bytes` may reach a finding: what is erased later would live on in it. */
export interface PayloadFact {
  readonly name: string;
  readonly bytes: Buffer;
  readonly keyId: string | null;
}

export interface Erasure {
  readonly record: Buffer;
  readonly hash: Buffer;
  readonly idx: number | null;
}

interface Missing {
  readonly at: Place;
  readonly count: number;
}

/** Victims of damage whose digest is remembered, so that a row which lost its event can be told by its event. */
const REMEMBERED = 1000;

export class PayloadCheck {
  private readonly missing = new Map<string, Missing>();
  private readonly victims = new Map<string, Place>();
  private erased = 0;

  constructor(private readonly report: Report) {}

  event(envelope: Envelope, rows: readonly PayloadFact[], at: Place): void {
    const wanted = new Set(envelope._sd);
    for (const row of rows) {
      this.report.count('payload digests');
      if (row.keyId !== null) {
        this.report.invalid('payload digests', at, `payload ${show(row.name)} names key ${show(row.keyId)}, which does not exist`);
        continue;
      }
      const digest = disclosureDigest(row.bytes);
      if (!wanted.delete(digest)) {
        this.report.invalid('payload digests', at, `payload ${show(row.name)} has the digest ${digest}, which is not in the record`);
      }
      const flaw = flawOf(row);
      if (flaw !== null) this.report.invalid('payload digests', at, `payload ${show(row.name)} ${flaw}`);
    }
    if (wanted.size === 0) return;
    this.missing.set(envelope.id, { at, count: wanted.size });
    if (this.victims.size < REMEMBERED) for (const digest of wanted) this.victims.set(digest, at);
  }

  /** A row whose event does not exist. */
  orphan(event: string, { name, bytes }: PayloadFact): void {
    const victim = this.victims.get(disclosureDigest(bytes));
    const origin = victim ? `; it belongs to event ${victim.event_id}` : '';
    this.report.count('payload digests');
    this.report.invalid(
      'payload digests',
      victim ?? { event_id: null, stream: null, seq: null },
      `payload ${show(name)} names event row ${event}, which does not exist${origin}`,
    );
  }

  /** Tenants whose erasures might explain what is missing. */
  unexplained(): string[] {
    return [...new Set([...this.missing.values()].map(({ at }) => tenantOf(at.stream ?? '')))];
  }

  /** A payload.erased event; `idx` null while it waits for its place. Explains only what was there before it. */
  erasure({ record, hash, idx }: Erasure): void {
    if (!recordHash(record).equals(hash)) return;
    for (const id of erasedEvents(record)) {
      const at = this.missing.get(id)?.at;
      if (at === undefined || (idx !== null && at.idx !== undefined && at.idx >= idx)) continue;
      this.missing.delete(id);
      this.erased += 1;
    }
  }

  end(): void {
    for (const { at, count } of this.missing.values()) {
      const rows = count === 1 ? '1 digest of the record has' : `${count} digests of the record have`;
      this.report.incomplete('payload digests', at, `${rows} no row in payload, and no payload.erased names the event`);
    }
    if (this.erased > 0) this.report.note('payload digests', `${this.erased} events erased and explained`);
  }
}

/** The events a payload.erased record names: its member `events`. */
function erasedEvents(record: Buffer): string[] {
  try {
    const { type, events } = JSON.parse(record.toString('utf8')) as Record<string, JsonValue>;
    return type === 'payload.erased' && Array.isArray(events) ? events.filter((id) => typeof id === 'string') : [];
  } catch {
    return [];
  }
}

export const tenantOf = (stream: string): string => stream.slice(0, Math.max(0, stream.indexOf('/')));

const SALT = /^[A-Za-z0-9_-]{22,}$/;

/** What is wrong with the bytes of a disclosure, without quoting them. */
function flawOf({ name, bytes }: PayloadFact): string | null {
  const value = readDisclosure(bytes);
  if (value === null) return 'is not [salt, name, value]';
  if (!isCanonicalOf(value, bytes)) return 'is not in canonical form';
  if (!SALT.test(value[0])) return 'has no salt of 128 bits';
  return value[1] === name ? null : 'bears another name inside';
}

export function readDisclosure(bytes: Buffer): [string, string, JsonValue] | null {
  try {
    const value = JSON.parse(bytes.toString('utf8')) as JsonValue;
    if (!Array.isArray(value) || value.length !== 3) return null;
    return typeof value[0] === 'string' && typeof value[1] === 'string' ? (value as [string, string, JsonValue]) : null;
  } catch {
    return null;
  }
}
