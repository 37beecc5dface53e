/**
 * Signs the tree as it is. Two signatures of one log must never contradict each other, whatever crashes, races or is restored in between:
 *
 * - Only what is committed is signed, and leaves never change: all signers of one database sign prefixes of one list.
 * - The tree is proven to go on from the last checkpoint in `log`, and from the one outside the database, before it is signed.
 * - The new checkpoint is outside before it is in the database, and in the database before anybody gets it: who comes back from a crash or an
 *   older backup finds at least what was given away.
 */
import { signCheckpoint } from './checkpoint.js';
import { type LogRow, type LogState, logKeys, logState, noteLogKeys, publish } from './checkpoint.postgres.js';
import type { CheckpointDirectory, KeptCheckpoint } from './checkpoint-dir.system.js';
import type { Tx } from './database.postgres.js';
import { type LogEpochs, type LogNames, type Refused, refuse } from './log-epoch.postgres.js';
import { formatVerifierKey, type SignerKey, verifierOf } from './note.js';
import { growTree, rootAfter } from './tree.postgres.js';

export interface Signed {
  /** null: there are no events, and so no log. */
  readonly origin: string | null;
  /** Of the newest checkpoint there is, whoever signed it. */
  readonly size: number;
  /** Whether it was this call. */
  readonly now: boolean;
  /** So many milliseconds before another may be signed, if there is something to sign. */
  readonly wait: number;
}

export class CheckpointSigner {
  /** Whether the database has been held against what is outside, which the first round does even if there is nothing to sign. */
  private compared = false;
  /** Verifier keys that are on record. */
  private readonly noted = new Set<string>();

  constructor(
    private readonly db: Tx,
    private readonly epochs: LogEpochs,
    private readonly keys: LogNames['keys'],
    private readonly directory: CheckpointDirectory | null,
  ) {}

  /** Signs if there is something new and the last checkpoint is older than `intervalMs`. null: the log is only just being begun, look again. */
  async sign(intervalMs: number): Promise<Signed | Refused | null> {
    let state = await logState(this.db);
    if (state.end === 0 && !state.log) return { origin: null, size: 0, now: false, wait: 0 };
    const log = await this.epochs.inForce(state.log);
    if (log === null || 'refused' in log) return log;
    const wait = log.age === null ? 0 : Math.max(0, intervalMs - log.age);
    const idle = state.end === log.size && this.compared;
    if (idle || wait > 0) return { origin: log.origin, size: log.size, now: false, wait: idle ? 0 : wait };
    // Read before the size of the tree: what is outside was signed of leaves that are committed, so an honest database has them by now.
    const outside = (await this.directory?.newest(log.origin)) ?? null;
    state = await logState(this.db);
    if (state.log?.epoch !== log.epoch) return null;
    return this.signNow(state.log, state.end, outside);
  }

  private async signNow(log: LogRow, end: LogState['end'], outside: KeptCheckpoint | null): Promise<Signed | Refused> {
    const { origin, size } = log;
    const root = await this.prove(log, end, outside);
    if ('refused' in root) return root;
    this.compared = true;
    if (end === size) return { origin, size, now: false, wait: 0 };
    const note = signCheckpoint(origin, { size: BigInt(end), root }, await this.signersFor(origin, end));
    await this.directory?.keep({ origin, size: end, note });
    const now = await publish(this.db, log, { size: end, root, note });
    return { origin, size: now ? end : size, now, wait: 0 };
  }

  /** The root at `end`, if the tree goes on from everything that was signed before. */
  private async prove({ origin, size, root: last }: LogRow, end: number, outside: KeptCheckpoint | null): Promise<Buffer | Refused> {
    const to = BigInt(end);
    if (outside && outside.size > to) return refuse(setBack(outside, end));
    if (size > end) return refuse(damaged(origin, size, `there are only ${end} leaves`));
    await growTree(this.db, end); // what the sequencer has left out
    const root = await rootAfter(this.db, { from: BigInt(size), fromRoot: last, to });
    if (root === null) return refuse(damaged(origin, size, 'its leaves hash to another root'));
    if (outside === null || (outside.size === BigInt(size) && last?.equals(outside.root))) return root;
    return (await rootAfter(this.db, { from: outside.size, fromRoot: outside.root, to })) === null ? refuse(beside(outside)) : root;
  }

  private async signersFor(origin: string, size: number): Promise<SignerKey[]> {
    const keys = this.keys.filter((key) => key.name === origin);
    const rows = keys.map((key) => ({ origin, vkey: formatVerifierKey(verifierOf(key)), first_size: size }));
    if (rows.some(({ vkey }) => !this.noted.has(vkey))) {
      await noteLogKeys(this.db, rows);
      for (const { vkey } of await logKeys(this.db)) this.noted.add(vkey);
    }
    return keys;
  }
}

function setBack({ file, origin, size }: KeptCheckpoint, end: number): string {
  return (
    `${file} says that ${origin} had ${size} events, and this database has ${end}: it was set back, most likely by restoring a backup. Nothing is signed, since ` +
    `another tree of that size under the same name could not be told from a forgery. ${recovery(origin)}`
  );
}

function beside({ file, origin, size }: KeptCheckpoint): string {
  return (
    `${file} gives ${origin} another root at ${size} events than this database: it is another database, or one that was set back and went on. Nothing is ` +
    `signed, since both trees under one name would be a forgery. ${recovery(origin)}`
  );
}

function damaged(origin: string, size: number, what: string): string {
  return (
    `the last checkpoint of ${origin} was signed at ${size} events, and ${what}: the record was changed since. Nothing is signed. ` +
    `agent-orchestrator verify says where. ${recovery(origin)}`
  );
}

function recovery(origin: string): string {
  const next = nextOrigin(origin);
  return (
    `Restore the database that fits if there is one. If there is none, go on as a new log: agent-orchestrator log keygen --origin ${next} --add, then start ` +
    `with LOG_ORIGIN=${next}; the new log begins with an event log.started that records the last checkpoint of ${origin}. ` +
    `After that move what CHECKPOINT_DIR has of ${origin} elsewhere and keep it: verify calls a ledger diverged from it for as long as it is there.`
  );
}

/** example.com/log, example.com/log/2, example.com/log/3 */
function nextOrigin(origin: string): string {
  const [, base, number] = /^(.*)\/([2-9]|[1-9][0-9]+)$/.exec(origin) ?? [];
  return base === undefined ? `${origin}/2` : `${base}/${Number(number) + 1}`;
}
