/** Somebody who may do everything in the database, and knows the program as well as we do. */
import { leafDigest } from '../../src/audit/verify-sequence.js';
import { canonicalJson } from '../../src/kernel/canonical.js';
import type { JsonValue } from '../../src/kernel/json.js';
import { signCheckpoint } from '../../src/ledger/checkpoint.js';
import type { Tx } from '../../src/ledger/database.postgres.js';
import { formatVerifierKey, verifierOf } from '../../src/ledger/note.js';
import { recordHash } from '../../src/ledger/record.js';
import { unlock } from './flipped-bits.js';
import { KEY, ORIGIN, rootOf } from './paper-evidence.js';

type Members = Record<string, JsonValue>;

interface Link {
  readonly stream: string;
  readonly seq: number;
  readonly hash: Buffer;
}

export class Attacker {
  private constructor(private readonly tx: Tx) {}

  static async in(tx: Tx): Promise<Attacker> {
    await unlock(tx);
    await tx.query('ALTER TABLE tree_node DISABLE TRIGGER USER');
    return new Attacker(tx);
  }

  /** Other words in a record and in its columns; the hash is made to fit. */
  async edit(eventId: string, change: Members): Promise<void> {
    const [row] = await this.tx.query<{ record: Buffer }>('SELECT record FROM event WHERE event_id = $1', [eventId]);
    await this.write(eventId, { ...this.parse(row!.record), ...change });
  }

  /** Without a trace: event, payload, leaf and what waits for its answer. */
  async remove(where: string, values: unknown[] = []): Promise<number> {
    const gone = await this.tx.query<{ id: number; event_id: string }>(`DELETE FROM event e WHERE ${where} RETURNING id, event_id`, values);
    const ids = gone.map(({ id }) => id);
    await this.tx.query('DELETE FROM payload WHERE event = ANY($1::bigint[])', [ids]);
    await this.tx.query('DELETE FROM leaf WHERE event = ANY($1::bigint[])', [ids]);
    await this.tx.query('DELETE FROM open_request WHERE id = ANY($1::text[])', [gone.map(({ event_id }) => event_id)]);
    await this.tx.query('DELETE FROM session s WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.stream = s.stream)');
    return ids.length;
  }

  /** Two neighbours in the global order change places. */
  async exchange(idx: number): Promise<void> {
    await this.tx.query(
      'UPDATE leaf SET idx = CASE idx WHEN $1::bigint THEN $1::bigint + 1 ELSE $1::bigint END WHERE idx IN ($1::bigint, $1::bigint + 1)',
      [idx],
    );
  }

  /** Every number, link, hash, head, place and digest as if nothing had happened. Only signatures need more than that. */
  async coverUp(): Promise<void> {
    await this.relink();
    await this.tx.query('DELETE FROM stream_head');
    await this.tx.query(
      `INSERT INTO stream_head (stream, seq, head, base)
       SELECT e.stream, e.seq, e.hash, coalesce((SELECT b.hash FROM event b WHERE b.stream = e.stream AND b.seq = e.seq - 1), '')
         FROM event e WHERE e.seq = (SELECT max(m.seq) FROM event m WHERE m.stream = e.stream)`,
    );
    const leaves = await this.tx.query<{ idx: string; event: string; hash: Buffer; at: number }>(
      `SELECT (row_number() OVER (ORDER BY l.idx) - 1)::text AS idx, l.event::text AS event, e.hash,
              (extract(epoch FROM greatest(l.sequenced_at, max(l.sequenced_at) OVER (ORDER BY l.idx))) * 1000000)::float8 AS at
         FROM leaf l JOIN event e ON e.id = l.event ORDER BY l.idx`,
    );
    await this.tx.query('DELETE FROM leaf');
    for (const leaf of leaves) {
      await this.tx.query(
        `INSERT INTO leaf (idx, event, hash, sequenced_at, digest) VALUES ($1, $2, $3, to_timestamp($4::float8 / 1000000), decode($5, 'hex'))`,
        [leaf.idx, leaf.event, leaf.hash, leaf.at, leafDigest(leaf)],
      );
    }
    await this.tx.query('UPDATE sequencer SET size = $1', [leaves.length]);
    await this.tx.query('DELETE FROM tree_node');
    await this.tx.query(
      `INSERT INTO open_request (id, stream, owner, deadline) SELECT e.event_id, e.stream, 'test', now() FROM event e
        WHERE e.type = 'contract.request' AND NOT EXISTS (SELECT 1 FROM event r WHERE r.in_reply_to = e.event_id) ON CONFLICT DO NOTHING`,
    );
  }

  private async relink(): Promise<void> {
    const rows = await this.tx.query<{ event_id: string; stream: string; record: Buffer }>(
      'SELECT event_id, stream, record FROM event ORDER BY stream, seq',
    );
    let last = null as Link | null;
    for (const { event_id, stream, record } of rows) {
      const before: Link | null = last?.stream === stream ? last : null;
      const seq = (before?.seq ?? 0) + 1;
      const prev: string | null = before?.hash.toString('hex') ?? null;
      const members = this.parse(record);
      const seal: Members = members['type'] === 'session.closed' && prev !== null ? { last_seq: seq - 1, last_head: prev } : {};
      last = { stream, seq, hash: await this.write(event_id, { ...members, seq, prev, ...seal }) };
    }
  }

  /** Nobody will know that there were signatures. */
  async forgetSignatures(): Promise<void> {
    for (const table of ['checkpoint', 'log', 'log_key']) await this.tx.query(`DELETE FROM ${table}`);
  }

  /** Nobody will know what was signed since the log had this size. */
  async forgetSignaturesAfter(size: number): Promise<void> {
    await this.tx.query('DELETE FROM checkpoint WHERE size > $1', [size]);
    await this.tx.query('UPDATE log SET size = c.size, root = c.root FROM checkpoint c WHERE c.size = $1', [size]);
  }

  /** With the key of the log, or as if another one were its key. */
  async signAgain(key = KEY): Promise<void> {
    const leaves = await this.tx.query<{ hash: Buffer }>('SELECT hash FROM leaf ORDER BY idx');
    const root = rootOf(leaves.map(({ hash }) => hash));
    await this.tx.query('DELETE FROM checkpoint');
    const note = signCheckpoint(ORIGIN, { size: BigInt(leaves.length), root }, [key]);
    await this.tx.query('DELETE FROM log_key');
    await this.tx.query('INSERT INTO log_key (origin, vkey, first_size) VALUES ($1, $2, 0)', [ORIGIN, formatVerifierKey(verifierOf(key))]);
    await this.tx.query('INSERT INTO checkpoint (origin, size, root, note, signed_at) VALUES ($1, $2, $3, $4, now())', [
      ORIGIN,
      leaves.length,
      root,
      note,
    ]);
    await this.tx.query('UPDATE log SET size = $1, root = $2', [leaves.length, root]);
  }

  private parse = (record: Buffer) => JSON.parse(record.toString('utf8')) as Members;

  private async write(eventId: string, members: Members): Promise<Buffer> {
    const record = Buffer.from(canonicalJson(members), 'utf8');
    const hash = recordHash(record);
    await this.tx.query('UPDATE event SET record = $2, hash = $3, seq = $4, capability = $5, status = $6 WHERE event_id = $1', [
      eventId,
      record,
      hash,
      members['seq'],
      members['capability'] ?? null,
      members['status'] ?? null,
    ]);
    return hash;
  }
}
