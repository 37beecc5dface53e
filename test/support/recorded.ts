/** What the ledger says, read from its tables by another way than the orchestrator's own. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Database } from '../../src/ledger/database.postgres.js';
import { payloadsOf } from '../../src/ledger/payload.postgres.js';
import { type Answer, until } from './orchestrator.js';

export interface Recorded {
  readonly record: Record<string, unknown>;
  /** SHA-256(0x00 || record). */
  readonly hash: string;
  readonly payload: Record<string, unknown>;
}

const ULID = '[0-9A-HJKMNP-TV-Z]{26}';
export const aUlid = expect.stringMatching(new RegExp(`^${ULID}$`)) as string;
export const aTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
export const aHash = expect.stringMatching(/^[0-9a-f]{64}$/) as string;
export const aSessionStream = expect.stringMatching(new RegExp(`^default/session/${ULID}$`)) as string;

/** Events in the order of their streams. */
export async function recorded(db: Database, where: string, values: unknown[]): Promise<Recorded[]> {
  const rows = await db.query<{ id: number; record: Buffer }>(
    `SELECT e.id, e.record FROM event e WHERE ${where} ORDER BY e.stream, e.seq`,
    values,
  );
  const payloads = await payloadsOf(
    db,
    rows.map((r) => r.id),
  );
  return rows.map(({ id, record }) => ({
    record: JSON.parse(record.toString()) as Record<string, unknown>,
    hash: createHash('sha256')
      .update(Buffer.from([0]))
      .update(record)
      .digest('hex'),
    payload: Object.fromEntries(
      (payloads.get(id) ?? []).map((p) => (JSON.parse(p.bytes.toString()) as unknown[]).slice(1) as [string, unknown]),
    ),
  }));
}

export const countEvents = async (db: Database): Promise<number> =>
  (await db.query<{ n: number }>('SELECT count(*) AS n FROM event'))[0]!.n;

/** What the caller was told is what the record says, member by member. Returns both halves. */
export async function expectRecorded(db: Database, answer: Answer): Promise<{ request: Recorded; response: Recorded }> {
  const [request, response, ...more] = await recorded(db, 'e.event_id = $1 OR e.in_reply_to = $1', [answer.contract_id]);
  expect(more).toEqual([]);
  const status = answer.success ? 'completed' : answer.error_code === 'cancelled' ? 'cancelled' : 'failed';
  expect(request!.record).toMatchObject({
    type: 'contract.request',
    id: answer.contract_id,
    stream: answer.receipt.stream,
    task: answer.task_id,
    from: 'orchestrator',
    status: 'pending',
  });
  expect(request!.record['to'] ?? null).toBe(answer.agent_id);
  expect(response!.record).toMatchObject({
    type: 'contract.response',
    in_reply_to: answer.contract_id,
    cause: answer.contract_id,
    stream: answer.receipt.stream,
    seq: answer.receipt.seq,
    task: answer.task_id,
    time: answer.timestamp,
    from: answer.agent_id ?? 'orchestrator',
    to: 'orchestrator',
    status,
  });
  expect(response!.record['error_code'] ?? null).toBe(answer.error_code);
  expect(response!.hash).toBe(answer.receipt.hash);
  expect(response!.payload['result'] ?? null).toEqual(answer.data);
  expect([response!.payload['text'] ?? null, response!.payload['files'] ?? []]).toEqual([answer.text, answer.files]);
  expect(response!.payload['error'] ?? null).toEqual(answer.error === null ? null : { code: answer.error_code, message: answer.error });
  return { request: request!, response: response! };
}

/** What an agent has left in its note. */
export const noted = async (file: string, line: string): Promise<void> =>
  until(`the agent notes "${line}"`, async () => (await readFile(file, 'utf8').catch(() => '')).split('\n').includes(line));

/** With the members of every object in the order of their names, as a record has them. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
}
