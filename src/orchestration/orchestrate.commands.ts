/** Carries a task from request to response: routed, recorded, called, recorded, answered. */
import { createHash } from 'node:crypto';
import { Command, CommandHandler, EventsHandler, type ICommandHandler, type IEventHandler } from '@nestjs/cqrs';
import type { RecordedFile } from '../contracts/contract.js';
import { ContractManager, SessionCancelled } from '../contracts/contracts.commands.js';
import type { EndedContract } from '../contracts/contracts.postgres.js';
import { canonicalJson } from '../kernel/canonical.js';
import { OrchestratorError } from '../kernel/errors.js';
import { newId, newSalt } from '../kernel/ids.system.js';
import type { JsonValue } from '../kernel/json.js';
import { Log } from '../kernel/log.system.js';
import type { Caller } from '../kernel/principal.js';
import type { KeyClaim } from '../ledger/batch.js';
import type { Wish } from '../routing/decision.js';
import { Calls } from './calls.system.js';
import { type Carried, Carrier, contractOf, type Follower, type KeyUsed } from './carrier.system.js';
import type { WrittenPlan } from './plan.js';
import { Plans } from './plans.system.js';
import { RunningTasks } from './running-tasks.worker.js';

/** One piece of work, or a plan of several. */
export interface TaskRequest extends Wish {
  readonly session_id: string;
  readonly plan?: WrittenPlan | undefined;
  readonly parameters: Record<string, JsonValue>;
  readonly context: Record<string, JsonValue>;
  readonly intent?: string | undefined;
  readonly queue?: boolean | undefined;
  /** 1 to 10: of tasks that wait for the same busy agent the higher goes first. */
  readonly priority?: number | undefined;
  readonly timeout_seconds: number;
  /** Id of the recorded REQUEST this sends again. */
  readonly replay_of?: string | undefined;
}

export interface OrchestrateResult {
  readonly success: boolean;
  readonly data: JsonValue;
  readonly text: string | null;
  readonly files: RecordedFile[];
  readonly error: string | null;
  readonly error_code: string | null;
  readonly contract_id: string;
  readonly agent_id: string | null;
  readonly task_id: string | null;
  readonly timestamp: string;
  readonly receipt: { stream: string; seq: number; hash: string };
  /** Where it took several: each, the last one too. */
  readonly attempts?: { contract_id: string; agent_id: string | null; success: boolean; error_code: string | null }[];
}

export class Orchestrate extends Command<OrchestrateResult> {
  constructor(
    readonly caller: Caller,
    readonly request: TaskRequest,
    /** The caller's Idempotency-Key. */
    readonly key?: string,
    readonly follower?: Follower,
  ) {
    super();
  }
}

@CommandHandler(Orchestrate)
export class OrchestrateHandler implements ICommandHandler<Orchestrate> {
  constructor(
    private readonly carrier: Carrier,
    private readonly plans: Plans,
    private readonly tasks: RunningTasks,
    private readonly contracts: ContractManager,
    private readonly calls: Calls,
    private readonly log: Log,
  ) {}

  async execute(command: Orchestrate): Promise<OrchestrateResult> {
    const started = performance.now();
    const { asked, answer, attempts, repeated } = await this.calls.admit(() => this.carry(command));
    const { stream } = answer.receipt;
    const { id: contract_id, task: task_id, to: agent, capability } = asked;
    const who = { session: command.request.session_id, stream, contract_id, task_id, agent, capability };
    const how = {
      status: answer.status,
      error_code: answer.code,
      ms: Math.round((performance.now() - started) * 10) / 10,
      attempts: attempts?.length,
      repeated,
    };
    this.log.info({ ...who, ...how, trace_id: command.caller.trace?.id }, 'task');
    return (command.key === undefined ? shape : shapeAsRecorded)({ asked, answer, attempts });
  }

  private async carry({ caller, request, key, follower }: Orchestrate): Promise<Carried & { repeated?: true }> {
    if (request.replay_of !== undefined) await this.contracts.mustBeRequest(caller.tenant, request.replay_of);
    const task = newId();
    const work = {
      session_id: request.session_id,
      capability: request.capability,
      agent_id: request.agent_id,
      message: request.message,
      preferred_protocol: request.preferred_protocol,
      queue: request.queue,
      priority: request.priority,
      parameters: request.parameters,
      context: request.context,
      intent: request.intent,
      replay_of: request.replay_of,
      task,
      cause: null,
      deadline: Date.now() + Math.round(request.timeout_seconds * 1000),
      key: key === undefined ? undefined : claim(caller, key, request),
      follower: this.tasks.begin(task, follower),
    };
    try {
      const { plan } = request;
      const carried = await (plan ? this.plans.carry(caller, plan, work) : this.carrier.carry(caller, work));
      return 'used' in carried ? await this.repeat(carried.used, request, follower) : carried;
    } finally {
      this.tasks.end(task);
    }
  }

  /** The key was used before: same body, same answer. */
  private async repeat(used: KeyUsed, request: TaskRequest, follower: Follower | undefined): Promise<Carried & { repeated: true }> {
    if (used.body.length === 0) {
      const message = `what was answered under this Idempotency-Key, as contract ${used.request}, has been erased; use a new key for a new request`;
      throw new OrchestratorError('erased', message);
    }
    if (!used.body.equals(bodyHash(used.salt, request))) {
      throw new OrchestratorError('key_conflict', 'this Idempotency-Key was used with another body; use a new key for a new request');
    }
    const attempts = await this.contracts.ended(used.request, Date.now());
    if (!attempts) {
      throw new OrchestratorError('key_in_flight', `the request with this Idempotency-Key is still running as contract ${used.request}`, {
        retryAfter: 1,
      });
    }
    for (const { asked } of attempts) follower?.recorded(contractOf(asked));
    const last = attempts.at(-1)!;
    if (request.plan) return { ...(await this.plans.again(last)), repeated: true };
    return { ...last, ...(attempts.length > 1 && { attempts }), repeated: true };
  }
}

function claim(caller: Caller, key: string, request: TaskRequest): KeyClaim {
  const salt = Buffer.from(newSalt(), 'base64url');
  const scope = `${caller.tenant}/${createHash('sha256')
    .update(caller.principal ?? '')
    .digest('base64url')}`;
  return { scope, key: createHash('sha256').update(key).digest(), salt, body: bodyHash(salt, request) };
}

const bodyHash = (salt: Buffer, request: TaskRequest): Buffer =>
  createHash('sha256')
    .update(salt)
    .update(canonicalJson(JSON.parse(JSON.stringify(request)) as JsonValue))
    .digest();

/** With the members of data and files in the record's order: the first answer under a key and its repetitions are the same bytes. */
function shapeAsRecorded(carried: Carried): OrchestrateResult {
  const told = shape(carried);
  return { ...told, ...(JSON.parse(canonicalJson({ data: told.data, files: told.files })) as Pick<OrchestrateResult, 'data' | 'files'>) };
}

function shape({ asked, answer, attempts }: Carried): OrchestrateResult {
  return {
    success: answer.status === 'completed',
    data: answer.result ?? null,
    text: answer.text ?? null,
    files: answer.files ?? [],
    error: answer.message ?? null,
    error_code: answer.code ?? null,
    ...contractOf(asked),
    timestamp: answer.time,
    receipt: answer.receipt,
    ...(attempts && { attempts: attempts.map(attemptOf) }),
  };
}

const attemptOf = ({ asked, answer }: EndedContract) => ({
  contract_id: asked.id,
  agent_id: asked.to,
  success: answer.status === 'completed',
  error_code: answer.code ?? null,
});

@EventsHandler(SessionCancelled)
export class SessionCancelledHandler implements IEventHandler<SessionCancelled> {
  constructor(private readonly calls: Calls) {}

  handle({ stream }: SessionCancelled): void {
    this.calls.cancelSession(stream);
  }
}
