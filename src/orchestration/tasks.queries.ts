/** What became of a task: all its contracts, straight from the record. */
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { answerTo, type ContractItem, deadlineOf, toItems } from '../contracts/contracts.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import { Database, type Tx } from '../ledger/database.postgres.js';
import { EVENT_COLUMNS, type EventRow } from '../ledger/read.postgres.js';

export interface TaskContract extends ContractItem {
  /** Id of its RESPONSE. */
  readonly response_id: string | null;
  /** The contract of this task that it belongs to: a step to its plan, a further attempt to the one before. */
  readonly parent: string | null;
}

export interface TaskTree {
  readonly task_id: string;
  readonly session_id: string | null;
  /** `running` also in the pause before an attempt that was announced: nothing is open then, and more will come. */
  readonly status: 'running' | 'completed' | 'failed' | 'cancelled';
  readonly created_at: string;
  readonly completed_at: string | null;
  /** When somebody asked to have it cancelled. */
  readonly cancel_requested_at: string | null;
  /** In the order of the record. */
  readonly contracts: TaskContract[];
}

/** More contracts than any plan with all its attempts has. */
const MOST = 2000;

export class GetTask extends Query<TaskTree> {
  constructor(
    readonly tenant: string,
    readonly id: string,
  ) {
    super();
  }
}

@QueryHandler(GetTask)
export class GetTaskHandler implements IQueryHandler<GetTask> {
  constructor(private readonly db: Database) {}

  async execute({ tenant, id }: GetTask): Promise<TaskTree> {
    const requests = await requestsOf(this.db, tenant, id);
    if (requests.length === 0) throw new OrchestratorError('not_found', `there is no task ${id}`);
    const responses = await this.db.named<{ event_id: string; in_reply_to: string; seq: number }>(
      'responses_of_task',
      `SELECT e.event_id, e.in_reply_to, e.seq FROM event e WHERE e.in_reply_to = ANY($1::text[]) AND e.type = 'contract.response' ORDER BY e.id`,
      [requests.map((request) => request.event_id)],
    );
    const contracts = treeOf(await toItems(this.db, requests), responses);
    const last = await this.lastOf(contracts, responses.at(-1)?.event_id);
    const [cancel] = await this.db.query<{ at: Date }>('SELECT at FROM task_cancel WHERE task = $1', [id]);
    return {
      task_id: id,
      session_id: contracts[0]!.session_id,
      status: last ? (last.status as TaskTree['status']) : 'running',
      created_at: contracts[0]!.created_at,
      completed_at: last?.completed_at ?? null,
      cancel_requested_at: cancel?.at.toISOString() ?? null,
      contracts,
    };
  }

  /** The contract the task ended with; null: it goes on. */
  private async lastOf(contracts: readonly TaskContract[], response: string | undefined): Promise<TaskContract | null> {
    if (contracts.some(({ response_id }) => response_id === null)) return null;
    const last = contracts.find(({ response_id }) => response_id === response);
    if (!last || (last.status === 'failed' && (await this.goesOn(last, contracts)))) return null;
    return last;
  }

  /** Whether it announced a further attempt that is not among these. One that was not made by the deadline will not be. */
  private async goesOn({ contract_id }: TaskContract, contracts: readonly TaskContract[]): Promise<boolean> {
    const next = (await answerTo(this.db, contract_id))?.next?.contract_id;
    if (next === undefined || contracts.some((one) => one.contract_id === next)) return false;
    return Date.now() <= (await deadlineOf(this.db, contract_id));
  }
}

async function requestsOf(tx: Tx, tenant: string, task: string): Promise<EventRow[]> {
  // '0' follows '/' in "C": the tenant's streams and nobody else's.
  return tx.named<EventRow>(
    'requests_of_task',
    `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.task = $1 AND e.type = 'contract.request' AND e.stream >= $2 AND e.stream < $3
      ORDER BY e.stream, e.seq LIMIT ${MOST}`,
    [task, `${tenant}/`, `${tenant}0`],
  );
}

function treeOf(items: readonly ContractItem[], responses: readonly { event_id: string; in_reply_to: string }[]): TaskContract[] {
  const answers = new Map(responses.map(({ event_id, in_reply_to }) => [in_reply_to, event_id]));
  const asked = new Map(responses.map(({ event_id, in_reply_to }) => [event_id, in_reply_to]));
  const own = new Set(items.map(({ contract_id }) => contract_id));
  return items.map((item) => {
    const plan = (item.metadata['step'] as { plan?: JsonValue } | undefined)?.plan;
    const cause = item.cause === null ? undefined : (asked.get(item.cause) ?? item.cause);
    const parent = [plan, cause].find((id): id is string => typeof id === 'string' && own.has(id));
    return { ...item, response_id: answers.get(item.contract_id) ?? null, parent: parent ?? null };
  });
}
