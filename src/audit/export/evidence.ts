/** What an export is made of, piece by piece as it comes out of the ledger: from the database, or as lines of a server's answer. */
import { z } from 'zod';
import { OrchestratorError } from '../../kernel/errors.js';
import type { JsonValue } from '../../kernel/json.js';
import { readOrder } from '../../ledger/erasure.js';

const Hash = z.string().regex(/^[0-9a-f]{64}$/);

const scopeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('session'), tenant: z.string(), streams: z.array(z.string()) }),
  z.object({ kind: z.literal('contract'), tenant: z.string(), contract: z.string() }),
  z.object({ kind: z.literal('range'), tenant: z.string(), from: z.int(), to: z.int() }),
]);
/** Sessions by their streams: the caller's name for one is payload, and stands with it. */
export type Scope = z.infer<typeof scopeSchema>;

/** In this order; leaves between the records of a range. */
export const evidenceSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('opening'),
    scope: scopeSchema,
    only: z.array(z.string()).nullable(),
    made_at: z.string(),
    made_by: z.string(),
  }),
  /** The exact bytes of record and disclosures, as text. */
  z.object({
    kind: z.literal('event'),
    /** Null while it has none. */
    idx: z.int().nullable(),
    record: z.string(),
    disclosures: z.array(z.string()),
    /** Not asked for, but referred to by what was: an agent in force, an erasure. */
    context: z.boolean(),
  }),
  /** Of a range every leaf, also those of other tenants. */
  z.object({ kind: z.literal('leaf'), hash: Hash }),
  z.object({ kind: z.literal('checkpoint'), note: z.string(), size: z.int(), keys: z.array(z.string()) }),
  /** Against that checkpoint. `path`: base64, leaf sibling first. */
  z.object({ kind: z.literal('inclusion'), leaf: Hash, index: z.int(), path: z.array(z.string()) }),
  /** From the tree of so many leaves to that checkpoint. */
  z.object({ kind: z.literal('consistency'), from: z.int(), path: z.array(z.string()) }),
  z.object({ kind: z.literal('end'), events: z.int() }),
]);
export type Evidence = z.infer<typeof evidenceSchema>;
export type Piece<K extends Evidence['kind']> = Extract<Evidence, { kind: K }>;

/** What of the ledger, and how much of it is shown. */
export interface ExportRequest {
  readonly tenant: string;
  readonly what: { readonly session: string } | { readonly contract: string } | { readonly from: number; readonly to: number };
  /** Names of the disclosures that are shown; null: all. */
  readonly only: readonly string[] | null;
  /** Every record gets a proof of its own, not only those that the others lead to. */
  readonly proveAll: boolean;
  /** Sizes of trees whose checkpoints somebody kept. */
  readonly known: readonly number[];
}

/** The members of a record that exports speak of; whether they are sound is for verify to say. */
export interface RecordMembers {
  readonly id: string;
  readonly stream: string;
  readonly seq: number;
  readonly type: string;
  readonly time: string;
  readonly task?: string;
  readonly cause?: string;
  readonly in_reply_to?: string;
  readonly from?: string;
  readonly to?: string;
  readonly to_version?: string;
  readonly to_record?: string;
  readonly capability?: string;
  readonly status?: string;
  readonly error_code?: string;
  readonly trace?: string;
  readonly _sd?: readonly string[];
}

export function membersOf(record: string): RecordMembers & Readonly<Record<string, JsonValue>> {
  try {
    return JSON.parse(record) as RecordMembers & Readonly<Record<string, JsonValue>>;
  } catch {
    throw new OrchestratorError('ledger_unavailable', 'a record is damaged beyond reading; agent-orchestrator verify says which');
  }
}

/** The streams and events a payload.erased record is about; none if it is another. */
export function erasedBy(record: Buffer): string[] {
  const { streams = [], events = [], disclosures = [] } = readOrder(record) ?? {};
  return [...streams, ...events, ...disclosures.map(({ event }) => event)];
}

/** The disclosed values by name. */
export function valuesOf(disclosures: readonly string[]): Record<string, JsonValue> {
  return Object.fromEntries(
    disclosures.map((text) => {
      const [, name, value] = JSON.parse(text) as [string, string, JsonValue];
      return [name, value];
    }),
  );
}

/** A contract as far as it is in the export. */
export interface ContractEvidence {
  readonly request: RecordMembers;
  readonly response: RecordMembers | null;
  /** The REQUEST whose RESPONSE led to this one. */
  readonly after: string | null;
}

/** Joins the halves of contracts as they come by. */
export class ContractPairs {
  private readonly open = new Map<string, RecordMembers>();
  /** Id of a RESPONSE -> of its REQUEST. */
  private readonly answered = new Map<string, string>();

  take(event: RecordMembers): ContractEvidence | null {
    if (event.type === 'contract.request') this.open.set(event.id, event);
    if (event.type !== 'contract.response' || event.in_reply_to === undefined) return null;
    const request = this.open.get(event.in_reply_to);
    if (!request) return null;
    this.open.delete(request.id);
    this.answered.set(event.id, request.id);
    return this.contract(request, event);
  }

  /** Those that have no RESPONSE in the export. */
  rest(): ContractEvidence[] {
    return [...this.open.values()].map((request) => this.contract(request, null));
  }

  private contract(request: RecordMembers, response: RecordMembers | null): ContractEvidence {
    return { request, response, after: this.answered.get(request.cause ?? '') ?? null };
  }
}
