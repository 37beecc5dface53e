/**
 * A recorded history: the records of a session as they stand in the ledger, one a line with its payload, and in the end what they meant to
 * the version that wrote the file. Whoever checks it writes every record again and folds all of them: a version that would write other bytes,
 * or understands them otherwise, is found before it is released. Pure.
 */
import { z } from 'zod';
import { canonicalJson } from '../kernel/canonical.js';
import type { JsonValue } from '../kernel/json.js';
import { type Disclosure, type Draft, disclosureDigest, type EventType, type Members, stamp } from '../ledger/record.js';
import { decide, emptyStream, evolve, type StreamState } from '../ledger/stream.js';
import { SessionFold, streamStateSchema } from './replay-session.js';

export const lineSchema = z.looseObject({
  record: z.string(),
  hash: z.string(),
  /** The bytes of [salt, name, value] of each that is still there. */
  disclosures: z.array(z.string()),
  /** Why the others are not. */
  gone: z.string().optional(),
});
export type HistoryLine = z.infer<typeof lineSchema>;

/** Stands for a reason where there is none. */
export const MISSING = 'missing, and nothing recorded explains it';

/** Last line of a file; earlier versions wrote none. */
export const meaningSchema = z.looseObject({ states: z.array(streamStateSchema) });

export const recordedSchema = z.looseObject({ states: z.array(streamStateSchema), events: z.number(), unexplained: z.number() });
export type Recorded = z.infer<typeof recordedSchema>;

export interface HistoryFinding {
  readonly line: number;
  /** `invalid`: it is not what was recorded, or this version would write it otherwise. `changed`: it means something else now. */
  readonly what: 'invalid' | 'changed';
  readonly why: string;
}

export interface HistoryReport {
  readonly events: number;
  readonly streams: number;
  readonly disclosures: number;
  /** Disclosures that were gone when it was written, and events of which some were gone without a recorded reason. */
  readonly gone: number;
  readonly unexplained: number;
  /** Events that follow an invalid one in its stream. */
  readonly unchecked: number;
  /** Whether the file says what it meant then. */
  readonly compared: boolean;
  readonly findings: readonly HistoryFinding[];
}

interface Standing {
  readonly state: StreamState;
  readonly fold: SessionFold;
}

export class HistoryCheck {
  private readonly standings = new Map<string, Standing>();
  private readonly findings: HistoryFinding[] = [];
  private readonly broken = new Set<string>();
  private readonly seen = { events: 0, disclosures: 0, gone: 0, unexplained: 0, unchecked: 0 };
  private ended = false;
  private compared = false;

  /** In the order of the file, the first is line 1. */
  line(number: number, text: string): void {
    const told = parse(text);
    const meaning = meaningSchema.safeParse(told);
    const event = lineSchema.safeParse(told);
    try {
      if (this.ended) throw new Error('it follows what the history means');
      if (meaning.success) this.compare(number, meaning.data.states);
      else if (event.success) this.event(event.data);
      else throw new Error('it is no line of a history');
    } catch (error) {
      this.findings.push({ line: number, what: 'invalid', why: (error as Error).message });
    }
  }

  report(): HistoryReport {
    return { ...this.seen, streams: this.standings.size, compared: this.compared, findings: this.findings };
  }

  private event(line: HistoryLine): void {
    this.seen.events += 1;
    const { stream } = JSON.parse(line.record) as { stream: string };
    if (this.broken.has(stream)) {
      this.seen.unchecked += 1;
      return;
    }
    this.broken.add(stream);
    this.writeAgain(line, this.standing(stream));
    this.broken.delete(stream);
  }

  /** Throws where this version would not write the same. */
  private writeAgain(line: HistoryLine, { state, fold }: Standing): void {
    const { draft, stream, seq, hidden } = draftOf(line);
    this.seen.disclosures += line.disclosures.length;
    this.seen.gone += hidden;
    if (hidden > 0 && line.gone === undefined) throw new Error(`${hidden} digests of the record have no disclosure, and nothing says why`);
    if (line.gone === MISSING) this.seen.unexplained += 1;
    if (seq !== state.seq + 1) throw new Error(`seq ${seq} of ${stream} follows seq ${state.seq}`);
    const refusal = decide(state, [draft]);
    if (refusal) throw new Error(`its stream would not allow it: ${refusal.code}`);
    const { bytes, hash } = stamp(draft, { stream, seq, prev: state.head });
    if (bytes.toString('utf8') !== line.record) throw new Error('the record would be written otherwise');
    if (hash.toString('hex') !== line.hash) throw new Error(`the record hashes to ${hash.toString('hex')}`);
    evolve(state, draft, hash);
    const { members } = draft;
    fold.add({
      ...{ event_id: draft.id, seq, hash: line.hash, type: draft.type, time: draft.time, record: members },
      ...{ task: members.task ?? null, in_reply_to: members.in_reply_to ?? null, status: members.status ?? null },
      ...{ from_agent: members.from ?? null, to_agent: members.to ?? null },
    });
  }

  private standing(stream: string): Standing {
    const standing = this.standings.get(stream) ?? { state: emptyStream(), fold: new SessionFold(stream) };
    this.standings.set(stream, standing);
    return standing;
  }

  private compare(number: number, then: readonly { readonly stream: string }[]): void {
    this.ended = true;
    if (this.broken.size > 0) return; // what is left of it means nothing
    this.compared = true;
    const now = new Map([...this.standings].map(([stream, { fold }]) => [stream, fold.state()]));
    for (const state of then) {
      const told = now.get(state.stream);
      now.delete(state.stream);
      for (const [name, value] of Object.entries(state)) {
        const [before, after] = [value, (told as Record<string, unknown> | undefined)?.[name]].map(textOf);
        if (before === after) continue;
        this.findings.push({ line: number, what: 'changed', why: `${state.stream}: ${name} was ${before}, is ${after}` });
      }
    }
    for (const stream of now.keys()) this.findings.push({ line: number, what: 'changed', why: `${stream} was not there` });
  }
}

/** The draft a record was stamped from. `hidden`: digests that no disclosure explains. */
function draftOf({ record, disclosures }: HistoryLine): { draft: Draft; stream: string; seq: number; hidden: number } {
  const {
    v,
    id,
    stream,
    seq,
    prev: _prev,
    type,
    time,
    _sd = [],
    _sd_alg,
    last_seq: _seq,
    last_head: _head,
    ...members
  } = JSON.parse(record);
  if (v !== 1) throw new Error(`version ${v} of the record is not known`);
  const parts: Disclosure[] = disclosures.map((text) => {
    const bytes = Buffer.from(text, 'utf8');
    return { name: (JSON.parse(text) as [string, string])[1], bytes, digest: disclosureDigest(bytes) };
  });
  const left = new Set<string>(_sd);
  for (const { name, digest } of parts) if (!left.delete(digest)) throw new Error(`the digest of ${name} is not in the record`);
  const hidden = [...left].map((digest) => ({ name: '', bytes: Buffer.alloc(0), digest }));
  const draft = { id, type: type as EventType, time, members: members as Members, disclosures: [...parts, ...hidden] };
  return { draft, stream, seq, hidden: hidden.length };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const textOf = (value: unknown): string => (value === undefined ? 'nothing' : canonicalJson(value as JsonValue));
