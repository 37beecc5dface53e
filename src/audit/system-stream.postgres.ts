/** The stream `<tenant>/system`: holds and erasures, in the one order that decides between them. */
import { OrchestratorError } from '../kernel/errors.js';
import { loadStates } from '../ledger/append.postgres.js';
import { Appender } from '../ledger/append.worker.js';
import type { Placed } from '../ledger/batch.js';
import { Database, type Tx } from '../ledger/database.postgres.js';
import { disclosedValues, payloadsNamed } from '../ledger/payload.postgres.js';
import type { Draft } from '../ledger/record.js';

export interface Hold {
  readonly hold_id: string;
  readonly placed_at: string;
  /** null: everything of the tenant. */
  readonly streams: readonly string[] | null;
  readonly reason: string | null;
  readonly requested_by: string | null;
}

interface HoldRow {
  readonly id: number;
  readonly event_id: string;
  readonly type: string;
  readonly time: string;
  readonly cause: string | null;
  readonly record: Buffer;
}

/** Those that stand now, oldest first. */
export async function standingHolds(tx: Tx, tenant: string): Promise<Hold[]> {
  const rows = await tx.named<HoldRow>(
    'holds',
    `SELECT id, event_id, type, time, cause, record FROM event WHERE stream = $1 AND type IN ('hold.placed', 'hold.released') ORDER BY seq`,
    [`${tenant}/system`],
  );
  const released = new Set(rows.flatMap(({ type, cause }) => (type === 'hold.released' ? [cause] : [])));
  const standing = rows.filter(({ type, event_id }) => type === 'hold.placed' && !released.has(event_id));
  const reasons = await payloadsNamed(
    tx,
    standing.map(({ id }) => id),
    'reason',
    'requested_by',
  );
  return standing.map(({ id, event_id: hold_id, time: placed_at, record }) => {
    const { streams = null } = JSON.parse(record.toString('utf8')) as { streams?: string[] };
    const { reason = null, requested_by = null } = disclosedValues(reasons.get(id)) as Record<string, string>;
    return { hold_id, placed_at, streams, reason, requested_by };
  });
}

/** Throws `legal_hold` while one stands over any of a session's streams: a session is held as a whole. */
export async function refuseHeld(tx: Tx, tenant: string, streams: readonly string[]): Promise<void> {
  const holds = await standingHolds(tx, tenant);
  const hold = holds.find((one) => one.streams === null || one.streams.some((stream) => streams.includes(stream)));
  if (!hold) return;
  const over = hold.streams === null ? `everything of the tenant ${tenant}` : 'this session';
  throw new OrchestratorError(
    'legal_hold',
    `the legal hold ${hold.hold_id} of ${hold.placed_at} stands over ${over}; nothing was erased: release the hold first`,
  );
}

const TRIES = 20;

export class SystemStream {
  constructor(
    private readonly db: Database,
    private readonly appender: Appender,
  ) {}

  /** Appends, if `allowed` has nothing against it (it throws) as the stream stands then; asked again when another writer was quicker. */
  async append(tenant: string, drafts: readonly Draft[], allowed: () => Promise<void>): Promise<Placed[]> {
    const stream = `${tenant}/system`;
    for (let i = 0; i < TRIES; i++) {
      const { seq } = (await loadStates(this.db, [stream])).get(stream)!;
      await allowed();
      const result = await this.appender.append({ stream, drafts, expectSeq: seq });
      if (!result.refusal) return result.placed;
    }
    throw new OrchestratorError('ledger_unavailable', `the stream ${stream} is written too busily; nothing was recorded, try again`, {
      retryAfter: 1,
    });
  }
}
