/**
 * Finds what explains missing payload. What is missing was deleted by an erasure, and that was recorded before: whenever it is looked for, it is there.
 *
 * The table `erased` says which events of payload.erased to look at, and proves nothing: what they order stands in their records. Where it says
 * nothing, which honest ledgers have no case of, all erasures of the tenant are read.
 */
import type { Tx } from '../ledger/database.postgres.js';
import { payloadsNamed } from '../ledger/payload.postgres.js';
import { type Erasure, type PayloadCheck, type PayloadFact, readDisclosure } from './verify-payload.js';

const PAGE = 500;

/** While the ledger is walked: only so many events with missing payload are remembered, however many were erased. */
export async function explainSome(tx: Tx, payload: PayloadCheck): Promise<void> {
  if (!payload.pressing) return;
  await explainBy(tx, payload);
  if (!payload.hopeless) return;
  await explainByAll(tx, payload);
  payload.giveUp();
}

export async function explain(tx: Tx, payload: PayloadCheck): Promise<void> {
  await explainBy(tx, payload);
  await explainByAll(tx, payload);
}

async function explainBy(tx: Tx, payload: PayloadCheck): Promise<void> {
  const ids = payload.seek();
  for (let i = 0; i < ids.length; i += PAGE) for (const erasure of await erasuresOf(tx, ids.slice(i, i + PAGE))) payload.erasure(erasure);
}

async function explainByAll(tx: Tx, payload: PayloadCheck): Promise<void> {
  for (const tenant of payload.tenants()) {
    for await (const erasure of erasuresOfTenant(tx, tenant)) payload.erasure(erasure);
  }
}

type ErasureRow = Omit<Erasure, 'basis'> & { readonly id: number; readonly seq: string };

const ROW = 'e.id, e.event_id, e.stream, e.seq::text AS seq, e.record, e.hash, l.idx FROM event e LEFT JOIN leaf l ON l.event = e.id';

async function erasuresOf(tx: Tx, events: readonly string[]): Promise<Erasure[]> {
  const rows = await tx.named<ErasureRow>(
    'verify_erasures_of',
    `SELECT ${ROW} WHERE e.type = 'payload.erased' AND e.event_id = ANY(ARRAY(
       SELECT DISTINCT x.erasure FROM unnest($1::text[]) m(id) JOIN event v ON v.event_id = m.id JOIN erased x ON x.stream = v.stream AND x.event IN (0, v.id)))
      ORDER BY e.id`,
    [events],
  );
  return withBasis(tx, rows);
}

/** They stand in the tenant's system stream. */
export async function* erasuresOfTenant(tx: Tx, tenant: string): AsyncGenerator<Erasure> {
  for (let page = await erasuresAfter(tx, tenant, '0'); page.length > 0; page = await erasuresAfter(tx, tenant, page.at(-1)!.seq))
    yield* page;
}

async function erasuresAfter(tx: Tx, tenant: string, seq: string): Promise<(Erasure & { readonly seq: string })[]> {
  const rows = await tx.named<ErasureRow>(
    'verify_erasures',
    `SELECT ${ROW} WHERE e.stream = $1 AND e.seq > $2::bigint AND e.type = 'payload.erased' ORDER BY e.seq LIMIT ${PAGE}`,
    [`${tenant}/system`, seq],
  );
  return withBasis(tx, rows);
}

async function withBasis<T extends ErasureRow>(tx: Tx, rows: readonly T[]): Promise<(T & Erasure)[]> {
  const payloads = await payloadsNamed(
    tx,
    rows.map((row) => row.id),
    'basis',
  );
  return rows.map((row) => ({ ...row, basis: basisOf(payloads.get(row.id)) }));
}

/** Why something was erased, as far as that can be read; what cannot is told where that event itself is checked. */
function basisOf(rows: readonly PayloadFact[] = []): string | null {
  const basis = rows[0] && !rows[0].sealed ? readDisclosure(rows[0].bytes)?.[2] : undefined;
  return typeof basis === 'string' ? basis : null;
}
