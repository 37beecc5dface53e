/**
 * The aggregate views, folded again from the sequenced ledger beside what their tables say. The fold is the follower's own; what is new here
 * is that it begins at the first event and that nobody can have changed its rows in between.
 */
import { z } from 'zod';
import { type TallyEvent, tally } from '../contracts/tally.js';

/** The tables, and what names a row in each. Every row counts something in `n`. */
export const VIEWS = {
  contract_tally: ['tenant', 'agent', 'capability', 'status'],
  session_tally: ['tenant', 'state'],
} as const;
export type View = keyof typeof VIEWS;
const NAMES = Object.keys(VIEWS) as View[];

export const diffSchema = z.looseObject({
  view: z.string(),
  key: z.array(z.string()),
  /** null: there is no such row. */
  live: z.number().nullable(),
  rebuilt: z.number().nullable(),
});
/** A row that is not what the ledger makes of it. */
export type RowDiff = z.infer<typeof diffSchema> & { readonly view: View };

export const viewsSchema = z.looseObject({
  /** Place in the ledger up to which both are; -1: before the first event. */
  idx: z.number(),
  views: z.array(z.looseObject({ view: z.string(), rows: z.number(), differing: z.number() })),
  differing: z.number(),
  /** Streams whose later events wait, in the live tables and therefore here. */
  parked: z.number(),
  applied: z.boolean(),
});
export type ViewsResult = z.infer<typeof viewsSchema>;

export interface ViewRow {
  readonly key: readonly string[];
  readonly n: number;
}

/** All rows of the tables at one moment, and the cursor of the follower that keeps them. */
export interface LiveViews {
  readonly cursor: number;
  /** Streams the follower has parked, each from this idx on. */
  readonly parked: ReadonlyMap<string, number>;
  readonly rows: Readonly<Record<View, readonly ViewRow[]>>;
}

export type PlacedTallyEvent = TallyEvent & { readonly idx: number };

export class Shadow {
  cursor = -1;
  private readonly rows = Object.fromEntries(NAMES.map((view) => [view, new Map<string, ViewRow>()])) as Record<View, Map<string, ViewRow>>;

  constructor(private readonly parked: ReadonlyMap<string, number>) {}

  /** The next events in the order of idx. */
  add(events: readonly PlacedTallyEvent[]): void {
    const handled = events.filter(({ stream, idx }) => idx < (this.parked.get(stream) ?? Number.POSITIVE_INFINITY));
    const { contracts, sessions } = tally(handled);
    for (const { tenant, agent, capability, status, n } of contracts) this.count('contract_tally', [tenant, agent, capability, status], n);
    for (const { tenant, state, n } of sessions) this.count('session_tally', [tenant, state], n);
    this.cursor = events.at(-1)?.idx ?? this.cursor;
  }

  /** Row by row, in the order of the keys. */
  diff(live: LiveViews): RowDiff[] {
    return NAMES.flatMap((view) => {
      const there = new Map(live.rows[view].map((row) => [text(row.key), row]));
      const keys = [...new Set([...this.rows[view].keys(), ...there.keys()])].sort();
      return keys.flatMap((key) => {
        const [row, rebuilt] = [there.get(key), this.rows[view].get(key)];
        if (row?.n === rebuilt?.n) return [];
        return [{ view, key: [...(row ?? rebuilt)!.key], live: row?.n ?? null, rebuilt: rebuilt?.n ?? null }];
      });
    });
  }

  result(diffs: readonly RowDiff[], applied: boolean): ViewsResult {
    const views = NAMES.map((view) => ({ view, rows: this.rows[view].size, differing: diffs.filter((one) => one.view === view).length }));
    return { idx: this.cursor, views, differing: diffs.length, parked: this.parked.size, applied };
  }

  private count(view: View, key: readonly string[], n: number): void {
    const sum = this.rows[view].get(text(key))?.n ?? 0;
    this.rows[view].set(text(key), { key, n: sum + n });
  }
}

const text = (key: readonly string[]) => JSON.stringify(key);
