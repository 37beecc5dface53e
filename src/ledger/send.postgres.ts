/**
 * Decides and stamps a batch on the states of its streams and sends it: freely, on cached states, or in turn, with the stream's row locked.
 *
 * The cached state of a stream is a function of its head, so a claim that was won proves that the state was true, and with it every
 * refusal decided in the same lane. A state leaves the cache while its batch is in flight and comes back only when the batch was won.
 */
import { LRUCache } from 'lru-cache';
import { appendInTurn, appendLanes, claimTurn, loadStates, lookUp, type Verdict } from './append.postgres.js';
import { type Intent, type Lane, openLane, type Placed, place, storedBytes } from './batch.js';
import type { Database, Tx } from './database.postgres.js';
import { countErasures } from './erase.postgres.js';
import { emptyStream, type Refusal, type StreamState } from './stream.js';

export type AppendResult = { placed: Placed[]; refusal?: undefined } | { refusal: Refusal };

/** An intent with its caller. Ids and salts inside the intent are fixed, so it can be sent as often as needed. */
export interface Waiting {
  readonly intent: Intent;
  readonly giveUpAt: number;
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: Error) => void;
  losses: number;
  /** Sent over a connection that broke: it may be in the ledger. */
  unsure: boolean;
  /** Decided wrongly before: the next decision is made on a freshly loaded state. */
  doubted: boolean;
}

/** `over` is called once, when the caller is told. Not by `finally`: another promise for each append is 2 % of what a call costs. */
export function waitFor(intent: Intent, giveUpAt: number, over: () => void): { waiting: Waiting; result: Promise<AppendResult> } {
  let waiting: Waiting | undefined;
  const result = new Promise<AppendResult>((resolve, reject) => {
    let told = false;
    const telling =
      <T>(tell: (what: T) => void) =>
      (what: T) => {
        if (!told) over();
        told = true;
        tell(what);
      };
    waiting = { intent, giveUpAt, resolve: telling(resolve), reject: telling(reject), losses: 0, unsure: false, doubted: false };
  });
  return { waiting: waiting!, result };
}

/** What was tried for one stream. No verdict: nothing had to be written. */
export interface Attempt {
  readonly lane: Lane;
  /** The state was loaded for this attempt, so a refusal holds even if nothing was written. */
  readonly fresh: boolean;
  readonly placed: { waiting: Waiting; events: Placed[] }[];
  readonly refused: { waiting: Waiting; refusal: Refusal }[];
  verdict?: Verdict | undefined;
}

export const waitersOf = (attempt: Attempt): Waiting[] => [...attempt.placed, ...attempt.refused].map((p) => p.waiting);

const STREAMS_CACHED = 20_000;

export class Sender {
  private readonly states = new LRUCache<string, StreamState>({ max: STREAMS_CACHED });

  constructor(private readonly db: Database) {}

  get cached(): number {
    return this.states.size;
  }

  keep(lane: Lane): void {
    if (lane.placed.length > 0 && lane.state.key) lane.state.key.fresh = null;
    this.states.set(lane.stream, lane.state);
  }

  forget(batch: readonly Waiting[]): void {
    for (const { intent } of batch) this.states.delete(intent.stream);
  }

  /** Seals on arrival what goes on a stream known by then: the database is at work on another batch, and would wait for it in the next. */
  sealAhead({ stream, drafts }: Intent): void {
    const key = this.states.get(stream)?.key;
    if (key) for (const draft of drafts) for (const part of draft.disclosures) storedBytes(part, key);
  }

  /** Those of a broken connection that did reach the ledger are answered; the others go on. */
  async withoutKnown(batch: Waiting[]): Promise<Waiting[]> {
    const unsure = batch.filter((w) => w.unsure);
    if (unsure.length === 0) return batch;
    const found = await lookUp(
      this.db,
      unsure.flatMap((w) => w.intent.drafts.map((d) => d.id)),
    );
    return batch.filter((waiting) => {
      const placed = waiting.intent.drafts.flatMap((draft) => {
        const at = found.get(draft.id);
        return at ? [{ draft, ...at }] : [];
      });
      if (placed.length < waiting.intent.drafts.length) return true;
      waiting.resolve({ placed });
      return false;
    });
  }

  async sendFreely(batch: readonly Waiting[]): Promise<Attempt[]> {
    // Streams that a caller minted a moment ago are empty unless another batch of ours has opened them since.
    const minted = new Set(batch.filter((w) => w.intent.opening && !w.doubted).map((w) => w.intent.stream));
    const doubted = new Set(batch.filter((w) => w.doubted).map((w) => w.intent.stream));
    const unknown = [...new Set(batch.map((w) => w.intent.stream))].filter((s) => doubted.has(s) || !(this.states.has(s) || minted.has(s)));
    const loaded = unknown.length > 0 ? await loadStates(this.db, unknown) : new Map<string, StreamState>();
    const attempts = assemble(batch, (stream) => {
      const state = loaded.get(stream) ?? this.states.get(stream) ?? emptyStream();
      this.states.delete(stream);
      if (!state.unusable) state.key ??= this.db.keys.create();
      return { state, fresh: loaded.has(stream) };
    });
    const writing = attempts.filter((a) => a.lane.placed.length > 0);
    if (writing.length > 0) {
      const verdicts = await appendLanes(
        this.db,
        writing.map((a) => a.lane),
      );
      for (const attempt of writing) attempt.verdict = verdicts.get(attempt.lane.stream);
    }
    return attempts;
  }

  /** All of the batch is for one stream. What is loaded under its lock cannot change before the statement. */
  async sendInTurn(stream: string, batch: readonly Waiting[]): Promise<Attempt[]> {
    return this.db.transaction(async (tx) => {
      await claimTurn(tx, stream);
      const state = (await loadStates(tx, [stream])).get(stream)!;
      if (!state.unusable) state.key ??= this.db.keys.create();
      const attempts = assemble(await withoutErased(tx, batch), () => ({ state, fresh: true }));
      for (const attempt of attempts) {
        if (attempt.lane.placed.length > 0) attempt.verdict = await appendInTurn(tx, attempt.lane);
      }
      return attempts;
    });
  }
}

/** Whoever erases holds the lock too: either he finds what is appended here, or it is not appended. */
async function withoutErased(tx: Tx, batch: readonly Waiting[]): Promise<Waiting[]> {
  const left: Waiting[] = [];
  for (const waiting of batch) {
    const { unerased } = waiting.intent;
    if (!unerased || (await countErasures(tx, unerased.streams)) === unerased.erasures) left.push(waiting);
    else waiting.resolve({ refusal: { code: 'erased' } });
  }
  return left;
}

function assemble(batch: readonly Waiting[], stateOf: (stream: string) => { state: StreamState; fresh: boolean }): Attempt[] {
  const attempts = new Map<string, Attempt>();
  for (const waiting of batch) {
    const { stream } = waiting.intent;
    let attempt = attempts.get(stream);
    if (!attempt) {
      const { state, fresh } = stateOf(stream);
      attempt = { lane: openLane(stream, state), fresh, placed: [], refused: [] };
      attempts.set(stream, attempt);
    }
    try {
      const result = place(attempt.lane, waiting.intent);
      if (Array.isArray(result)) attempt.placed.push({ waiting, events: result });
      else attempt.refused.push({ waiting, refusal: result });
    } catch (error) {
      waiting.reject(error as Error); // it is too large, or its stream cannot be sealed
    }
  }
  return [...attempts.values()];
}
