/** Rebuilds the aggregate views beside the live ones, and puts the rebuilt rows in place where that is asked for. */
import { OrchestratorError } from '../kernel/errors.js';
import type { Database, Tx } from '../ledger/database.postgres.js';
import { columnsAfter } from '../ledger/read.postgres.js';
import { isBroken } from './replay-source.js';
import { verified } from './replay-source.postgres.js';
import { type LiveViews, type RowDiff, Shadow, VIEWS, type View, type ViewRow, type ViewsResult } from './replay-views.js';
import type { ReplayMessage } from './replay-wire.js';

const FOLLOWER = 'tallies';
const PAGE = 2000;
/** Events folded while the follower waits. */
const BEHIND = 2000;

export interface ViewsWish {
  readonly verify: boolean;
  /** Puts the rebuilt rows in place: `applyViews`, or whoever sends it that command. */
  readonly apply?: ((rebuilt: Rebuilt) => Promise<ViewsResult>) | undefined;
}

/** Rebuilt from the ledger up to its cursor. */
export interface Rebuilt {
  readonly shadow: Shadow;
  readonly parked: LiveViews['parked'];
}

export async function* replayViews(db: Database, { verify, apply }: ViewsWish): AsyncGenerator<ReplayMessage<RowDiff, ViewsResult>> {
  const source = yield* verified(db, verify && {});
  if (isBroken(source)) return;
  const live = await db.transaction(async (tx) => {
    await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    return liveViews(tx);
  });
  if (live === null)
    throw new OrchestratorError('not_found', 'no server has kept views of this ledger yet: start one, and let it catch up');
  const shadow = new Shadow(live.parked);
  for await (const done of fold(db, shadow, live.cursor)) yield { step: 'replaying', done, total: live.cursor + 1 };
  const diffs = shadow.diff(live);
  for (const item of diffs) yield { item };
  yield { result: apply && diffs.length > 0 ? await apply({ shadow, parked: live.parked }) : shadow.result(diffs, false) };
}

/** Puts the rebuilt rows in place of those that differ, at the follower's present place: it waits meanwhile, and goes on from there. */
export async function applyViews(db: Database, { shadow, parked }: Rebuilt): Promise<ViewsResult> {
  const [now] = await db.query<{ cursor: number }>('SELECT cursor FROM follower WHERE name = $1', [FOLLOWER]);
  for await (const _ of fold(db, shadow, (now?.cursor ?? 0) - BEHIND));
  return db.transaction(async (tx) => {
    await tx.query('SELECT 1 FROM follower WHERE name = $1 FOR UPDATE', [FOLLOWER]);
    const live = (await liveViews(tx))!;
    if (live.cursor - shadow.cursor > 2 * BEHIND || !same(live.parked, parked))
      throw new OrchestratorError(
        'ledger_unavailable',
        'the views changed too much while they were rebuilt; nothing was changed, try again',
      );
    for await (const _ of fold(tx, shadow, live.cursor));
    const diffs = shadow.diff(live);
    for (const view of Object.keys(VIEWS) as View[]) await put(tx, view, diffs);
    return shadow.result(diffs, true);
  });
}

/** Up to and with `cursor`. */
async function* fold(tx: Tx, shadow: Shadow, cursor: number): AsyncGenerator<number> {
  while (shadow.cursor < cursor) {
    const events = await columnsAfter(tx, shadow.cursor, Math.min(PAGE, cursor - shadow.cursor));
    if (events.length === 0)
      throw new OrchestratorError('database_unfit', `the views say they are at idx ${cursor}, the ledger ends at idx ${shadow.cursor}`);
    shadow.add(events);
    yield shadow.cursor + 1;
  }
}

async function liveViews(tx: Tx): Promise<LiveViews | null> {
  const [follower] = await tx.query<{ cursor: number }>('SELECT cursor FROM follower WHERE name = $1', [FOLLOWER]);
  if (!follower) return null;
  const parked = await tx.query<{ stream: string; from_idx: number }>('SELECT stream, from_idx FROM parked WHERE follower = $1', [
    FOLLOWER,
  ]);
  const rows = {} as Record<View, ViewRow[]>;
  for (const view of Object.keys(VIEWS) as View[]) {
    rows[view] = await tx.query<ViewRow>(`SELECT ARRAY[${VIEWS[view].join(', ')}] AS key, n FROM ${view}`);
  }
  return { cursor: follower.cursor, parked: new Map(parked.map(({ stream, from_idx }) => [stream, from_idx])), rows };
}

async function put(tx: Tx, view: View, diffs: readonly RowDiff[]): Promise<void> {
  const columns = VIEWS[view];
  const rows = diffs.filter((diff) => diff.view === view);
  const keys = (some: readonly RowDiff[]) => columns.map((_, i) => some.map(({ key }) => key[i]));
  const arrays = columns.map((_, i) => `$${i + 1}::text[]`).join(', ');
  const names = columns.join(', ');
  const gone = rows.filter(({ rebuilt }) => rebuilt === null);
  await tx.query(`DELETE FROM ${view} WHERE (${names}) IN (SELECT * FROM unnest(${arrays}))`, keys(gone));
  const there = rows.filter(({ rebuilt }) => rebuilt !== null);
  await tx.query(
    `INSERT INTO ${view} (${names}, n) SELECT * FROM unnest(${arrays}, $${columns.length + 1}::bigint[])
     ON CONFLICT (${names}) DO UPDATE SET n = excluded.n`,
    [...keys(there), there.map(({ rebuilt }) => rebuilt)],
  );
}

const same = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>) =>
  a.size === b.size && [...a].every(([stream, idx]) => b.get(stream) === idx);
