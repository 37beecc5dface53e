/** Contracts as they are read: straight from `event`, so that a caller always sees what he was told. */
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import type { Tx } from '../ledger/database.postgres.js';
import { type ErasedBy, erasedBy } from '../ledger/erased.postgres.js';
import { disclosedValues, type PayloadRow, payloadsOf } from '../ledger/payload.postgres.js';
import { EVENT_COLUMNS, type EventRow, eventById } from '../ledger/read.postgres.js';
import type { Asked, Next, Outcome, RecordedFile } from './contract.js';
import type { Receipt } from './contracts.commands.js';
import { sessionNames } from './sessions.postgres.js';

/** A RESPONSE that is in the ledger. */
export interface RecordedAnswer extends Outcome {
  readonly receipt: Receipt;
  readonly request: string;
  /** Its own id. */
  readonly response: string;
  readonly time: string;
}

export const isRequest = (row: EventRow | undefined, tenant: string): row is EventRow =>
  row?.type === 'contract.request' && row.stream.startsWith(`${tenant}/`);

export const unknownContract = (id: string) => new OrchestratorError('not_found', `there is no contract ${id}`);

export async function askedOf(tx: Tx, request: string): Promise<Asked | undefined> {
  const row = await eventById(tx, request);
  return row && { id: row.event_id, task: row.task, to: row.to_agent, capability: row.capability };
}

async function responseRow(tx: Tx, request: string): Promise<EventRow | undefined> {
  const rows = await tx.named<EventRow>(
    'response_to',
    `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.in_reply_to = $1 AND e.type = 'contract.response'`,
    [request],
  );
  return rows[0];
}

/** Both halves of a tenant's contract, found by the id of either. */
export async function contractHalves(tx: Tx, tenant: string, id: string): Promise<{ request: EventRow; response: EventRow | undefined }> {
  const found = await eventById(tx, id);
  const request = found?.type === 'contract.response' ? await eventById(tx, found.in_reply_to!) : found;
  if (!isRequest(request, tenant)) throw unknownContract(id);
  return { request, response: await responseRow(tx, request.event_id) };
}

export async function answerTo(tx: Tx, request: string): Promise<RecordedAnswer | undefined> {
  const row = await responseRow(tx, request);
  if (!row) return undefined;
  const values = disclosedValues((await payloadsOf(tx, [row.id])).get(row.id));
  const error = values['error'] as { message?: string } | undefined;
  return {
    status: row.status as Outcome['status'],
    ...(row.error_code !== null && { code: row.error_code as NonNullable<Outcome['code']> }),
    ...(values['result'] !== undefined && { result: values['result'] }),
    ...(error?.message !== undefined && { message: error.message }),
    ...(values['text'] !== undefined && { text: values['text'] as string }),
    ...(values['files'] !== undefined && { files: values['files'] as RecordedFile[] }),
    ...(values['next'] !== undefined && { next: values['next'] as Next }),
    receipt: { stream: row.stream, seq: row.seq, hash: row.hash.toString('hex') },
    request,
    response: row.event_id,
    time: row.time,
  };
}

/** A contract that has ended, and is on the record. */
export interface EndedContract {
  readonly asked: Asked;
  readonly answer: RecordedAnswer;
}

/**
 * The attempts at a task from its first REQUEST on; null: it has not ended. One that was foretold and not made by the deadline will not be:
 * its process is gone.
 */
export async function endedTask(tx: Tx, request: string, now: number): Promise<EndedContract[] | null> {
  const attempts: EndedContract[] = [];
  for (let id: string | undefined = request; id !== undefined; id = attempts.at(-1)?.answer.next?.contract_id) {
    const [asked, answer] = [await askedOf(tx, id), await answerTo(tx, id)];
    if (asked && answer) attempts.push({ asked, answer });
    else if (asked || attempts.length === 0) return null;
    else return now > (await deadlineOf(tx, request)) ? attempts : null;
  }
  return attempts;
}

/** Of a REQUEST that is on the record. */
export async function deadlineOf(tx: Tx, request: string): Promise<number> {
  const row = await eventById(tx, request);
  return Date.parse((JSON.parse(row!.record.toString('utf8')) as { deadline: string }).deadline);
}

/** One half of a contract as the API shows it. A REQUEST carries the status, result and completion of its RESPONSE. */
export interface ContractItem {
  readonly contract_id: string;
  readonly session_id: string | null;
  readonly contract_type: 'REQUEST' | 'RESPONSE';
  readonly from_agent: string | null;
  readonly to_agent: string | null;
  readonly capability: string | null;
  readonly parameters: JsonValue;
  readonly payload: JsonValue;
  readonly status: EventRow['status'];
  readonly created_at: string;
  readonly completed_at: string | null;
  readonly result: JsonValue;
  readonly text: string | null;
  readonly files: RecordedFile[];
  readonly error: string | null;
  readonly error_code: string | null;
  readonly in_reply_to: string | null;
  /** Id of the event that led to this one. */
  readonly cause: string | null;
  readonly task_id: string | null;
  /** Of a REQUEST that repeats another in a live replay: that one. */
  readonly replay_of: string | null;
  readonly seq: number;
  readonly hash: string;
  readonly metadata: Record<string, JsonValue>;
  /** The latest erasure of something this half shows; null: all of it is there. */
  readonly erased: ErasedBy | null;
}

export interface ContractFilter {
  readonly from_agent?: string | undefined;
  readonly to_agent?: string | undefined;
  readonly capability?: string | undefined;
  readonly status?: string | undefined;
  readonly type?: 'REQUEST' | 'RESPONSE' | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

const CONTRACTS = `e.type IN ('contract.request', 'contract.response')`;

/** A REQUEST has the status of its RESPONSE, looked up one by one and only where it is asked for. */
const STATUS = `CASE e.type WHEN 'contract.request'
  THEN coalesce((SELECT r.status FROM event r WHERE r.in_reply_to = e.event_id AND r.type = 'contract.response'), e.status) ELSE e.status END`;

/** SQL for the filter over `e`, and its values. */
export function where(filter: ContractFilter, values: unknown[]): string {
  const terms = [CONTRACTS];
  const term = (sql: (parameter: string) => string, value: unknown) => {
    if (value !== undefined) terms.push(sql(`$${values.push(value)}`));
  };
  term((p) => `e.from_agent = ${p}`, filter.from_agent);
  term((p) => `e.to_agent = ${p}`, filter.to_agent);
  term((p) => `e.capability = ${p}`, filter.capability);
  term((p) => `e.type = ${p}`, filter.type && `contract.${filter.type.toLowerCase()}`);
  term((p) => `e.time >= ${p}`, filter.since);
  term((p) => `e.time < ${p}`, filter.until);
  term((p) => `${STATUS} = ${p}`, filter.status);
  return terms.join(' AND ');
}

/** Turns rows into items: joins payloads, RESPONSEs and names of sessions, each with one query. */
export async function toItems(tx: Tx, rows: readonly EventRow[]): Promise<ContractItem[]> {
  const requests = rows.filter((e) => e.type === 'contract.request').map((e) => e.event_id);
  const responses = await tx.named<EventRow>(
    'responses_to',
    `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.in_reply_to = ANY($1::text[]) AND e.type = 'contract.response'`,
    [requests],
  );
  const answers = new Map(responses.map((r) => [r.in_reply_to, r]));
  const payloads = await payloadsOf(tx, [...new Set([...rows, ...responses].map((e) => e.id))]);
  const names = await sessionNames(
    tx,
    rows.map((e) => e.stream),
  );
  const erased = await erasedBy(tx, [...rows, ...responses]);
  return rows.map((row) => toItem(row, row.type === 'contract.request' ? answers.get(row.event_id) : row, { payloads, names, erased }));
}

function toItem(
  row: EventRow,
  answer: EventRow | undefined,
  known: { payloads: Map<number, PayloadRow[]>; names: Map<string, string>; erased: Map<number, ErasedBy> },
): ContractItem {
  const own = disclosedValues(known.payloads.get(row.id));
  const answered = answer ? disclosedValues(known.payloads.get(answer.id)) : {};
  const error = answered['error'] as { message?: string } | undefined;
  const { parameters, result, error: _error, text: _text, files: _files, session: _session, ...metadata } = own;
  return {
    contract_id: row.event_id,
    session_id: known.names.get(row.stream) ?? null,
    contract_type: row.type === 'contract.request' ? 'REQUEST' : 'RESPONSE',
    from_agent: row.from_agent,
    to_agent: row.to_agent,
    capability: row.capability,
    parameters: parameters ?? null,
    payload: (row.type === 'contract.request' ? parameters : result) ?? null,
    status: answer?.status ?? row.status,
    created_at: row.time,
    completed_at: answer?.time ?? null,
    result: answered['result'] ?? null,
    text: (answered['text'] as string | undefined) ?? null,
    files: (answered['files'] as RecordedFile[] | undefined) ?? [],
    error: error?.message ?? null,
    error_code: answer?.error_code ?? null,
    in_reply_to: row.in_reply_to,
    cause: row.cause,
    task_id: row.task,
    replay_of: replayOf(row),
    seq: row.seq,
    hash: row.hash.toString('hex'),
    metadata,
    erased: known.erased.get(row.id) ?? (answer && known.erased.get(answer.id)) ?? null,
  };
}

/** Damage to a record is for verify to tell; here the columns are shown all the same. */
function replayOf({ type, record }: EventRow): string | null {
  if (type !== 'contract.request') return null;
  try {
    return (JSON.parse(record.toString('utf8')) as { replay_of?: string }).replay_of ?? null;
  } catch {
    return null;
  }
}
