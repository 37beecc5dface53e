/** Compares what Trace holds of a session with what the ledger says it should hold. */
import type { JsonValue } from '../kernel/json.js';

/** An event as it is, or should be, at Trace. */
export interface CopiedEvent {
  readonly event_type: string;
  readonly data: Readonly<Record<string, JsonValue>>;
}

/** Why Trace may not have it: it was not sent yet, its session is parked before it, or the forwarder has passed it. */
export type Passage = 'waiting' | 'parked' | 'passed';

export interface Expected {
  readonly event_id: string;
  readonly seq: number;
  readonly copy: CopiedEvent;
  readonly passage: Passage;
}

interface Named {
  readonly event_id: string;
  readonly seq: number;
}

export interface TraceAudit {
  readonly session_id: string;
  readonly verdict: 'same' | 'different' | 'missing';
  /** Halves of contracts in the ledger, and events about contracts at Trace. */
  readonly events: number;
  readonly held: number;
  readonly missing: (Named & { why: Passage })[];
  /** Held more than once, which at-least-once allows. */
  readonly repeated: (Named & { times: number })[];
  readonly different: (Named & { fields: string[] })[];
  /** Came for the first time after a later one of its stream. */
  readonly misplaced: Named[];
  /** About contracts, but of no event of this session. */
  readonly unknown: { event_id: string | null; event_type: string }[];
  /** Findings of each kind; the lists above name the first hundred. */
  readonly found: Record<'missing' | 'repeated' | 'different' | 'misplaced' | 'unknown', number>;
}

const SHOWN = 100;
/** What an erasure changes after it was sent. */
const ERASABLE = ['payload', 'result', 'error', 'session_id', 'erased'];

export class TraceComparison {
  private readonly held = new Map<string, CopiedEvent[]>();
  private readonly order = new Map<string, number>();
  private readonly audit: Omit<TraceAudit, 'session_id' | 'verdict' | 'events' | 'unknown'> & { events: number };
  private readonly nameless: CopiedEvent[] = [];
  private readonly last = new Map<string, number>();

  /** `held`: all events of the session at Trace, in its order. Those of other kinds are not ours. */
  constructor(held: readonly CopiedEvent[]) {
    const ours = held.filter(({ event_type }) => event_type.startsWith('contract.'));
    for (const [place, event] of ours.entries()) {
      const id = event.data['event_id'];
      if (typeof id !== 'string') {
        this.nameless.push(event);
        continue;
      }
      const same = this.held.get(id);
      if (same) same.push(event);
      else this.held.set(id, [event]);
      if (!same) this.order.set(id, place);
    }
    const found = { missing: 0, repeated: 0, different: 0, misplaced: 0, unknown: 0 };
    this.audit = { events: 0, held: ours.length, missing: [], repeated: [], different: [], misplaced: [], found };
  }

  /** Once for each event of the session, in the order of its stream. */
  compare({ event_id, seq, copy, passage }: Expected): void {
    const { audit } = this;
    audit.events += 1;
    const held = this.held.get(event_id);
    if (!held) {
      this.note('missing', audit.missing, { event_id, seq, why: passage });
      return;
    }
    this.held.delete(event_id);
    if (held.length > 1) this.note('repeated', audit.repeated, { event_id, seq, times: held.length });
    const fields = [...new Set(held.flatMap((each) => differing(copy, each)))];
    if (fields.length > 0) this.note('different', audit.different, { event_id, seq, fields });
    const stream = String(copy.data['stream']);
    const place = this.order.get(event_id)!;
    if (place < (this.last.get(stream) ?? -1)) this.note('misplaced', audit.misplaced, { event_id, seq });
    else this.last.set(stream, place);
  }

  private note<T>(kind: keyof TraceAudit['found'], list: T[], finding: T): void {
    this.audit.found[kind] += 1;
    if (list.length < SHOWN) list.push(finding);
  }

  result(session_id: string): TraceAudit {
    const { events, held, found, ...lists } = this.audit;
    const left = [...this.held].map(([event_id, [event]]) => ({ event_id, event_type: event!.event_type }));
    const unknown = [...left, ...this.nameless.map(({ event_type }) => ({ event_id: null, event_type }))];
    const different = found.different + found.misplaced + unknown.length > 0;
    const verdict = different ? 'different' : found.missing > 0 ? 'missing' : 'same';
    return { session_id, verdict, events, held, ...lists, unknown: unknown.slice(0, SHOWN), found: { ...found, unknown: unknown.length } };
  }
}

/** Names of the members that are not equal. Payload that is erased here may still be there. */
function differing(ours: CopiedEvent, theirs: CopiedEvent): string[] {
  const erased = ours.data['erased'] === true;
  const names = new Set([...Object.keys(ours.data), ...Object.keys(theirs.data)]);
  const fields = [...names].filter((name) => !(erased && ERASABLE.includes(name)) && !equal(ours.data[name], theirs.data[name]));
  return ours.event_type === theirs.event_type ? fields : ['event_type', ...fields];
}

function equal(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const [ours, theirs] = [a as Record<string, JsonValue>, b as Record<string, JsonValue>];
  const names = Object.keys(ours);
  return (
    names.length === Object.keys(theirs).length && names.every((name) => Object.hasOwn(theirs, name) && equal(ours[name], theirs[name]))
  );
}
