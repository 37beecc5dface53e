/**
 * What a PostgreSQL server does by itself and the embedded one does not: checkpoints, without which the WAL grows for ever, and
 * autovacuum. Each statement goes through the application's pool of one connection like everybody else's, so none of them can come
 * between the statements of a transaction, and each is one turn: what waits meanwhile is appended between two of them.
 *
 * Nothing here is needed for correctness: when a statement fails, the next round tries again.
 */
import type { Worker } from '../kernel/worker.js';

export interface HousekeepingSettings {
  /** How often to look. */
  readonly lookMs: number;
  /** WAL since the last checkpoint that makes one due; a crash replays about as much. */
  readonly walBytes: number;
  /** The longest time that something written waits for a checkpoint. */
  readonly checkpointMs: number;
  /** How often to ask which tables need a VACUUM or ANALYZE. */
  readonly vacuumMs: number;
}

/** Runs SQL, alone in its transaction, and returns the rows. */
export type Query = (sql: string) => Promise<Record<string, unknown>[]>;

const DEFAULTS: HousekeepingSettings = { lookMs: 1000, walBytes: 64 * 1024 * 1024, checkpointMs: 60_000, vacuumMs: 10_000 };

const WAL = `
  SELECT pg_current_wal_insert_lsn()::text AS position, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), redo_lsn)::float8 AS bytes
  FROM pg_control_checkpoint()`;

/**
 * The rules of autovacuum, with its scale factors: dead rows, rows inserted since the last VACUUM, rows changed since the last
 * ANALYZE, and the age at which VACUUM freezes all transaction ids. The catalog is included, migrations leave dead rows there too.
 * The ones with the most dead rows come first: small hot tables, where dead rows cost every reader. A growing table is vacuumed in
 * small steps, since nothing is appended meanwhile.
 */
const DUE = `
  WITH seen AS (
    SELECT format('%I.%I', s.schemaname, s.relname) AS name, s.n_dead_tup AS dead, greatest(c.reltuples, 0) AS rows, s.n_ins_since_vacuum AS inserted,
           s.n_mod_since_analyze AS changed, greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) AS age
    FROM pg_stat_all_tables s JOIN pg_class c ON c.oid = s.relid
    WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 't')
  SELECT name, changed > 50 + 0.1 * rows AND name NOT LIKE 'pg_toast.%' AS stale,
         dead > 50 + 0.2 * rows OR inserted > 1000 + least(0.2 * rows, 50000) OR age > 150000000 AS full
  FROM seen
  WHERE dead > 50 + 0.2 * rows OR inserted > 1000 + least(0.2 * rows, 50000) OR age > 150000000 OR (changed > 50 + 0.1 * rows AND name NOT LIKE 'pg_toast.%')
  ORDER BY dead / (1 + rows) DESC
  LIMIT 50`;

export class EmbeddedHousekeeping implements Worker {
  readonly name = 'embedded-housekeeping';
  private readonly settings: HousekeepingSettings;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;
  private stopped = false;
  /** WAL position right after the last checkpoint: still there means that nothing was written since. */
  private checkpointed = '';
  private checkpointAt = 0;
  private vacuumAt = 0;
  private readonly counts = { checkpoints: 0, vacuums: 0, analyzes: 0, wal_bytes: 0, last_error: null as string | null };

  constructor(
    private readonly query: Query,
    settings: Partial<HousekeepingSettings> = {},
  ) {
    this.settings = { ...DEFAULTS, ...settings };
  }

  start(): void {
    this.timer = setTimeout(() => {
      this.running = this.look().finally(() => {
        this.running = null;
        if (!this.stopped) this.start();
      });
    }, this.settings.lookMs);
    this.timer.unref();
  }

  private async look(): Promise<void> {
    try {
      const [wal] = (await this.query(WAL)) as { position: string; bytes: number }[];
      this.counts.wal_bytes = wal!.bytes;
      const waited = Date.now() - this.checkpointAt;
      const written = wal!.position !== this.checkpointed;
      if (wal!.bytes >= this.settings.walBytes || (written && waited >= this.settings.checkpointMs)) await this.checkpoint();
      if (Date.now() - this.vacuumAt >= this.settings.vacuumMs) await this.vacuum();
      this.counts.last_error = null;
    } catch (error) {
      this.counts.last_error = (error as Error).message;
    }
  }

  private async checkpoint(): Promise<void> {
    await this.query('CHECKPOINT');
    this.counts.checkpoints += 1;
    this.checkpointAt = Date.now();
    this.checkpointed = await this.position(); // a commit that slipped in between is safe in the WAL and waits for the next one
  }

  private async vacuum(): Promise<void> {
    this.vacuumAt = Date.now();
    const due = (await this.query(DUE)) as { name: string; stale: boolean; full: boolean }[];
    for (const { name, stale, full } of due) {
      if (this.stopped) return;
      await this.query(full ? `VACUUM ${stale ? '(ANALYZE) ' : ''}${name}` : `ANALYZE ${name}`);
      if (full) this.counts.vacuums += 1;
      if (stale) this.counts.analyzes += 1;
    }
  }

  private async position(): Promise<string> {
    const [wal] = (await this.query(WAL)) as { position: string; bytes: number }[];
    this.counts.wal_bytes = wal!.bytes;
    return wal!.position;
  }

  async drain(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  status(): Record<string, unknown> {
    return { ...this.counts };
  }
}
