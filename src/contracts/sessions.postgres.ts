/**
 * Which stream a caller's session id means. The id is personal data and stands only where it can be erased: in the table `session` and as
 * the disclosure `session` of the stream's first record. Both are written with that first record, so a name never points at nothing.
 */
import { LRUCache } from 'lru-cache';
import { newId } from '../kernel/ids.system.js';
import type { Opening } from '../ledger/batch.js';
import type { Database, Tx } from '../ledger/database.postgres.js';
import { newDisclosure } from '../ledger/draft.system.js';
import { disclosedValues, payloadsNamed } from '../ledger/payload.postgres.js';
import type { Seal } from '../ledger/stream.js';

export interface SessionStream {
  readonly stream: string;
  /** To be claimed with the first event; absent once the stream exists. */
  readonly opening?: Opening | undefined;
}

export interface SessionRow {
  readonly stream: string;
  /** Streams of the same name that idleness closed, oldest first. */
  readonly earlier: string[];
}

export class Sessions {
  private readonly names = new LRUCache<string, SessionStream>({ max: 20_000 });
  private readonly asking = new Map<string, Promise<SessionStream>>();

  constructor(private readonly db: Database) {}

  /** The session's stream as this process last saw it. A name that moved on since then is refused by the append. */
  known(tenant: string, name: string): SessionStream | undefined {
    return this.names.get(`${tenant}/${name}`);
  }

  /** The session's stream; a new one, not yet written anywhere, if the name is free. Callers at the same time get the same. */
  resolve(tenant: string, name: string): Promise<SessionStream> {
    const key = `${tenant}/${name}`;
    const known = this.names.get(key);
    if (known) return Promise.resolve(known);
    const asking =
      this.asking.get(key) ??
      this.find(tenant, name)
        .then((row) => this.remember(key, row ? { stream: row.stream } : fresh(tenant, name, null)))
        .finally(() => this.asking.delete(key));
    this.asking.set(key, asking);
    return asking;
  }

  async find(tenant: string, name: string): Promise<SessionRow | undefined> {
    const rows = await this.db.named<SessionRow>('find_session', 'SELECT stream, earlier FROM session WHERE tenant = $1 AND name = $2', [
      tenant,
      name,
    ]);
    return rows[0];
  }

  /** The stream exists now. */
  opened(tenant: string, name: string, stream: string): void {
    this.remember(`${tenant}/${name}`, { stream });
  }

  /** Another replica gave the name to another stream. */
  forget(tenant: string, name: string): void {
    this.names.delete(`${tenant}/${name}`);
  }

  /** The sessions of these streams were erased: nothing here knows their names any more. */
  forgetStreams(streams: readonly string[]): void {
    if (streams.length === 0) return;
    const erased = new Set(streams);
    for (const [key, { stream }] of this.names) if (erased.has(stream)) this.names.delete(key);
  }

  /** Idleness closed `closed`: the next event under this name opens a new stream whose first cause is the old seal. */
  reopen(tenant: string, name: string, closed: { stream: string; seal: Seal }): void {
    const key = `${tenant}/${name}`;
    if (this.names.get(key)?.stream !== closed.stream) return; // somebody did it already
    this.remember(key, fresh(tenant, name, { stream: closed.stream, seal: closed.seal.event }));
  }

  private remember(key: string, session: SessionStream): SessionStream {
    this.names.set(key, session);
    return session;
  }
}

function fresh(tenant: string, name: string, after: Opening['after']): SessionStream {
  const stream = `${tenant}/session/${newId()}`;
  return { stream, opening: { tenant, name, after, disclosure: newDisclosure('session', name) } };
}

/** From the first event of a session to the last one before its seal. The times are on the writers' clocks. */
export async function secondsUsed(tx: Tx, stream: string, seal: number): Promise<number> {
  const [first, last] = await tx.query<{ time: string }>('SELECT time FROM event WHERE stream = $1 AND seq IN (1, $2) ORDER BY seq', [
    stream,
    seal - 1,
  ]);
  return Math.max(0, Date.parse((last ?? first)!.time) - Date.parse(first!.time)) / 1000;
}

/** The callers' ids of session streams; an erased one is absent. */
export async function sessionNames(tx: Tx, streams: readonly string[]): Promise<Map<string, string>> {
  const firsts = await tx.named<{ id: number; stream: string }>(
    'first_events',
    'SELECT id, stream FROM event WHERE stream = ANY($1::text[]) AND seq = 1',
    [[...new Set(streams)]],
  );
  const payloads = await payloadsNamed(
    tx,
    firsts.map((e) => e.id),
    'session',
  );
  const names = new Map<string, string>();
  for (const { id, stream } of firsts) {
    const name = disclosedValues(payloads.get(id))['session'];
    if (typeof name === 'string') names.set(stream, name);
  }
  return names;
}
