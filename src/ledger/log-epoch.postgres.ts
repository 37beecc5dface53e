/**
 * Which log is signed: that of the latest epoch. A new one begins only where LOG_ORIGIN names it, with the event `log.started`, which records where
 * the log before it had come to. Both sign the same tree; what of the old log is still in it is proven to be in the new one too.
 */
import type { Appender } from './append.worker.js';
import { beginLog, type LogRow, logs, noteAt } from './checkpoint.postgres.js';
import type { CheckpointDirectory } from './checkpoint-dir.system.js';
import type { Tx } from './database.postgres.js';
import { newDraft } from './draft.system.js';
import type { SignerKey } from './note.js';
import type { Members } from './record.js';

/** Epochs of the log concern the whole deployment; they stand in the stream of the tenant that every deployment has. */
export const LOG_STREAM = 'default/system';

/** Why nothing is signed, in words for whoever can do something about it. */
export interface Refused {
  readonly refused: string;
}

export interface LogNames {
  /** LOG_ORIGIN */
  readonly wanted: string | undefined;
  readonly keys: readonly SignerKey[];
  readonly keyFile: string;
}

interface LastHead {
  readonly size: number;
  readonly root: Buffer | null;
  readonly note: string | null;
}

export class LogEpochs {
  constructor(
    private readonly db: Tx,
    private readonly appender: Pick<Appender, 'append'>,
    private readonly names: LogNames,
    private readonly directory: CheckpointDirectory | null,
  ) {}

  /** The log to sign; null while it is only just being begun. */
  async inForce(log: LogRow | null): Promise<LogRow | Refused | null> {
    const { wanted, keys, keyFile } = this.names;
    const has = (name: string) => keys.some((key) => key.name === name);
    const origin = wanted ?? (log && has(log.origin) ? log.origin : keys[0]!.name);
    if (log && wanted === undefined && origin !== log.origin) {
      return refuse(
        `this ledger is signed as ${log.origin}, and ${keyFile} has only a key named ${origin}: set LOG_KEY_FILE to the file with its key; ` +
          `or, to begin a new log on purpose, set LOG_ORIGIN=${origin}`,
      );
    }
    if (!has(origin)) {
      const remedy = `make one: agent-orchestrator log keygen --origin ${origin} --file ${keyFile} --add`;
      return refuse(`LOG_ORIGIN is ${origin}, and ${keyFile} has no key of that name; ${remedy}`);
    }
    if (log?.origin === origin) return log;
    if (!log) return (await beginLog(this.db, { epoch: 1, origin, first_idx: 0 })) ? fresh(1, origin, 0) : null;
    return this.goOn(log, origin);
  }

  private async goOn(before: LogRow, origin: string): Promise<LogRow | Refused | null> {
    const used = (await logs(this.db)).find((log) => log.origin === origin);
    if (used) return refuse(`LOG_ORIGIN is ${origin}, a log that was given up for ${before.origin}; a name is used once: take another`);
    const outside = await this.directory?.newest(origin);
    if (outside)
      return refuse(
        `${outside.file} says that ${origin} was signed already, and this database knows nothing of it: take another name for LOG_ORIGIN`,
      );
    const { event, seq } = await this.started(origin);
    if (event) {
      if (event.idx === null) return null;
      const epoch = before.epoch + 1;
      return (await beginLog(this.db, { epoch, origin, first_idx: event.idx })) ? fresh(epoch, origin, event.idx) : null;
    }
    const { size, root, note } = await this.lastHead(before);
    const members: Members = { origin, old_origin: before.origin, old_size: size, ...(root && { old_root: root.toString('hex') }) };
    const draft = newDraft('log.started', members, { checkpoint: note ?? undefined });
    await this.appender.append({ stream: LOG_STREAM, drafts: [draft], expectSeq: seq });
    return null;
  }

  /** The event that began this log, if it is there, and where its stream stands. */
  private async started(origin: string): Promise<{ event: { idx: number | null } | undefined; seq: number }> {
    const [head] = await this.db.query<{ seq: number }>('SELECT seq FROM stream_head WHERE stream = $1', [LOG_STREAM]);
    const rows = await this.db.query<{ record: Buffer; idx: number | null }>(
      `SELECT e.record, (SELECT l.idx FROM leaf l WHERE l.event = e.id) AS idx FROM event e WHERE e.stream = $1 AND e.type = 'log.started' ORDER BY e.seq`,
      [LOG_STREAM],
    );
    const event = rows.find(({ record }) => (JSON.parse(record.toString('utf8')) as { origin?: string }).origin === origin);
    return { event, seq: head?.seq ?? 0 };
  }

  /** Where the log had come to, as far as anybody here knows. */
  private async lastHead({ origin, size, root }: LogRow): Promise<LastHead> {
    const outside = await this.directory?.newest(origin);
    if (outside && outside.size >= BigInt(size)) return { size: Number(outside.size), root: outside.root, note: outside.note };
    return { size, root, note: await noteAt(this.db, origin, size) };
  }
}

const fresh = (epoch: number, origin: string, first_idx: number): LogRow => ({ epoch, origin, first_idx, size: 0, root: null, age: null });

export const refuse = (refused: string): Refused => ({ refused });
