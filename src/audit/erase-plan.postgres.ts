/** What goes when a part of a session is erased. */
import { OrchestratorError } from '../kernel/errors.js';
import type { Tx } from '../ledger/database.postgres.js';
import type { ErasureOrder } from '../ledger/erasure.js';
import { openInStream } from '../ledger/open-request.postgres.js';
import { payloadSize, payloadsOf } from '../ledger/payload.postgres.js';
import { disclosureDigest, type ErasedDisclosure } from '../ledger/record.js';
import { blocksQuoting } from '../memory/blocks.postgres.js';

export interface Part {
  /** Ids of either half; undefined: all of the session. */
  readonly contracts?: readonly string[] | undefined;
  /** Names of disclosures; undefined: all but the session's own name. */
  readonly fields?: readonly string[] | undefined;
}

export interface Plan extends Pick<ErasureOrder, 'events' | 'disclosures'> {
  /** Memory blocks that may quote what goes, and go with it. */
  readonly blocks: readonly string[];
  /** Other contracts of the same tasks, such as further attempts with the same parameters, that keep theirs. */
  readonly left: readonly string[];
}

interface Half {
  readonly id: number;
  readonly event_id: string;
  readonly contract: string;
}

/** Events whose payload is held at once. */
const PAGE = 20;

/** `streams`: all of the session. What is gone already is not named again. */
export async function planOf(tx: Tx, streams: readonly string[], { contracts, fields }: Part): Promise<Plan> {
  const halves = await halvesOf(tx, streams, contracts && (await contractsNamed(tx, streams, contracts)));
  await refuseOpen(tx, streams, halves);
  const events: string[] = [];
  const disclosures: ErasedDisclosure[] = [];
  for (let i = 0; i < halves.length; i += PAGE) {
    const page = halves.slice(i, i + PAGE);
    const payloads = await payloadsOf(
      tx,
      page.map(({ id }) => id),
    );
    for (const { id, event_id: event } of page) {
      const rows = payloads.get(id) ?? [];
      const going = rows.filter(({ name }) => (fields ? fields.includes(name) : name !== 'session'));
      if (going.length === rows.length && going.length > 0) events.push(event);
      else for (const { name, bytes } of going) disclosures.push({ event, name, digest: disclosureDigest(bytes) });
    }
  }
  const blocks = await blocksQuoting(tx, streams, [...events, ...disclosures.map(({ event }) => event)]);
  const left = contracts ? await leftOfTasks(tx, streams, halves) : [];
  return { events: [...events, ...blocks], disclosures, blocks, left };
}

async function leftOfTasks(tx: Tx, streams: readonly string[], halves: readonly Half[]): Promise<string[]> {
  const named = [...new Set(halves.map(({ contract }) => contract))];
  const rows = await tx.query<{ event_id: string }>(
    `SELECT event_id FROM event e WHERE stream = ANY($1::text[]) AND type = 'contract.request' AND event_id <> ALL($2::text[])
        AND task IN (SELECT task FROM event WHERE event_id = ANY($2::text[])) AND ${payloadSize('e.id')} > 0 ORDER BY id LIMIT 1000`,
    [streams, named],
  );
  return rows.map((row) => row.event_id);
}

/** The REQUESTs of the named contracts, none of which may be missing. */
async function contractsNamed(tx: Tx, streams: readonly string[], ids: readonly string[]): Promise<string[]> {
  const rows = await tx.query<{ event_id: string; contract: string }>(
    `SELECT event_id, coalesce(in_reply_to, event_id) AS contract FROM event
      WHERE event_id = ANY($1::text[]) AND stream = ANY($2::text[]) AND type IN ('contract.request', 'contract.response')`,
    [ids, streams],
  );
  const found = new Set(rows.map((row) => row.event_id));
  const missing = ids.filter((id) => !found.has(id));
  if (missing.length > 0)
    throw new OrchestratorError('not_found', `this session has no contract ${missing.slice(0, 10).join(', ')}; nothing was erased`);
  return [...new Set(rows.map((row) => row.contract))];
}

async function halvesOf(tx: Tx, streams: readonly string[], contracts: readonly string[] | undefined): Promise<Half[]> {
  return tx.query(
    `SELECT id, event_id, coalesce(in_reply_to, event_id) AS contract FROM event
      WHERE stream = ANY($1::text[]) AND type IN ('contract.request', 'contract.response')
        AND ($2::text[] IS NULL OR coalesce(in_reply_to, event_id) = ANY($2::text[])) ORDER BY id`,
    [streams, contracts ?? null],
  );
}

/** Its RESPONSE would bring payload that nobody erases. */
async function refuseOpen(tx: Tx, streams: readonly string[], halves: readonly Half[]): Promise<void> {
  const open = new Set<string>();
  for (const stream of streams) for (const { id } of await openInStream(tx, stream)) open.add(id);
  const running = halves.find(({ contract }) => open.has(contract));
  if (running) throw new OrchestratorError('session_busy', `contract ${running.contract} is still open; nothing was erased: wait for it`);
}
