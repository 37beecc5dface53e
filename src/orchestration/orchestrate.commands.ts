/** Carries a task from request to response: routed, recorded, called, recorded, answered. */
import { createHash } from 'node:crypto';
import { Command, CommandHandler, EventsHandler, type ICommandHandler, type IEventHandler } from '@nestjs/cqrs';
import { AgentRegistry, type RegisteredAgent } from '../agents/directory.js';
import { type Asked, failed, type Outcome, type RecordedFile } from '../contracts/contract.js';
import { ContractManager, SessionCancelled } from '../contracts/contracts.commands.js';
import type { RecordedAnswer } from '../contracts/contracts.postgres.js';
import { canonicalJson } from '../kernel/canonical.js';
import { OrchestratorError } from '../kernel/errors.js';
import { newId, newSalt } from '../kernel/ids.system.js';
import type { JsonValue } from '../kernel/json.js';
import { Log } from '../kernel/log.system.js';
import type { Caller } from '../kernel/principal.js';
import type { KeyClaim } from '../ledger/batch.js';
import { Instance } from '../ledger/instance.worker.js';
import type { Refusal } from '../ledger/stream.js';
import { type Decision, route, type Wish } from '../routing/route.js';
import { Calls, type Listener } from './calls.system.js';
import { fitOutput, unfitInput } from './fit.system.js';
import { type Given, TaskContext } from './task-context.postgres.js';

export interface TaskRequest extends Wish {
  readonly session_id: string;
  readonly parameters: Record<string, JsonValue>;
  readonly context: Record<string, JsonValue>;
  readonly intent?: string | undefined;
  readonly timeout_seconds: number;
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
}

type KeyUsed = Extract<Refusal, { code: 'key_used' }>;

/** Somebody follows the task while it is carried. Lost without harm: the record and the result are the same without him. */
export interface Follower extends Listener {
  /** The REQUEST is on the record; from here on whatever happens ends in a result. Must not throw. */
  recorded(contract: Pick<OrchestrateResult, 'contract_id' | 'agent_id' | 'task_id'>): void;
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

/** A contract that has ended, and is on the record. */
interface Carried {
  readonly asked: Asked;
  readonly answer: RecordedAnswer;
  /** Recorded before, under the same Idempotency-Key. */
  readonly repeated?: true;
}

@CommandHandler(Orchestrate)
export class OrchestrateHandler implements ICommandHandler<Orchestrate> {
  constructor(
    private readonly registry: AgentRegistry,
    private readonly contracts: ContractManager,
    private readonly calls: Calls,
    private readonly instance: Instance,
    private readonly context: TaskContext,
    private readonly log: Log,
  ) {}

  async execute(command: Orchestrate): Promise<OrchestrateResult> {
    const started = performance.now();
    const { asked, answer, repeated } = await this.calls.admit(() => this.carry(command));
    const { stream } = answer.receipt;
    const { id: contract_id, task: task_id, to: agent, capability } = asked;
    const who = { session: command.request.session_id, stream, contract_id, task_id, agent, capability };
    const how = { status: answer.status, error_code: answer.code, ms: Math.round((performance.now() - started) * 10) / 10, repeated };
    this.log.info({ ...who, ...how, trace_id: command.caller.trace?.id }, 'task');
    return (command.key === undefined ? shape : shapeAsRecorded)(asked, answer);
  }

  private async carry({ caller, request, key, follower }: Orchestrate): Promise<Carried> {
    if (!this.instance.fit) {
      const message = 'this process has lost touch with its database and must not call agents; nothing was recorded, try again';
      throw new OrchestratorError('ledger_unavailable', message, { retryAfter: 5 });
    }
    const decision = route(request, this.registry);
    const { agent } = decision;
    const refused = agent ? unfitInput(agent, decision.capability!, request.parameters) : failed('no_agent', decision.refused ?? '');
    const given = agent && !refused ? await this.given(caller, request, agent) : null;
    const milliseconds = Math.round(request.timeout_seconds * 1000);
    const deadline = Date.now() + milliseconds;
    const claimed = key === undefined ? undefined : claim(caller, key, request);
    const opening = this.contracts.open(
      {
        tenant: caller.tenant,
        session: request.session_id,
        request: {
          task: newId(),
          to: agent && { agent: agent.description.agent_id, version: agent.description.version, record: agent.record },
          capability: decision.capability,
          deadline: new Date(deadline).toISOString(),
          cause: given?.standing?.waits ? given.standing.response : null,
          trace: caller.trace?.id ?? null,
        },
        payload: { ...payloadOf(caller, request, decision), ...given?.payload },
        seconds: milliseconds / 1000,
        key: claimed,
      },
      refused,
    );
    const result = await opening;
    if ('used' in result) return this.repeat(result.used, request, follower);
    const { asked, stream } = result.opened;
    follower?.recorded(contractOf(asked));
    if (result.answer || !agent || !given) return { asked, answer: result.answer! };
    const task = { task_id: asked.id, capability: decision.capability!, parameters: request.parameters, context: given.context };
    const answered: Outcome = await this.calls.run({
      agent: agent.description.agent_id,
      client: agent.client,
      task,
      trace: caller.trace,
      stream,
      milliseconds,
      continuation: given.standing?.continuation,
      listener: follower,
    });
    const outcome = fitOutput(agent, decision.capability!, answered);
    return { asked, answer: await this.contracts.close(result.opened, outcome, Math.max(0, deadline - Date.now())) };
  }

  private given(caller: Caller, request: TaskRequest, agent: RegisteredAgent): Promise<Given> {
    return this.context.of({ tenant: caller.tenant, name: request.session_id }, request.context, agent);
  }

  /** The key was used before: same body, same answer. */
  private async repeat(used: KeyUsed, request: TaskRequest, follower: Follower | undefined): Promise<Carried> {
    if (!used.body.equals(bodyHash(used.salt, request))) {
      throw new OrchestratorError('key_conflict', 'this Idempotency-Key was used with another body; use a new key for a new request');
    }
    const ended = await this.contracts.ended(used.request);
    if (!ended) {
      throw new OrchestratorError('key_in_flight', `the request with this Idempotency-Key is still running as contract ${used.request}`, {
        retryAfter: 1,
      });
    }
    follower?.recorded(contractOf(ended.asked));
    return { ...ended, repeated: true };
  }
}

function payloadOf(caller: Caller, request: TaskRequest, decision: Decision): Record<string, JsonValue | undefined> {
  const { capability, agent_id, intent } = request;
  const asked = {
    ...(capability !== undefined && { capability }),
    ...(agent_id !== undefined && { agent_id }),
    ...(intent !== undefined && { intent }),
  };
  return {
    asked,
    parameters: request.parameters,
    context: Object.keys(request.context).length > 0 ? request.context : undefined,
    routing: decision.evidence,
    principal: caller.principal ?? undefined,
  };
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

const contractOf = (asked: Asked) => ({ contract_id: asked.id, agent_id: asked.to, task_id: asked.task });

/** With the members of data and files in the record's order: the first answer under a key and its repetitions are the same bytes. */
function shapeAsRecorded(asked: Asked, answer: RecordedAnswer): OrchestrateResult {
  const told = shape(asked, answer);
  return { ...told, ...(JSON.parse(canonicalJson({ data: told.data, files: told.files })) as Pick<OrchestrateResult, 'data' | 'files'>) };
}

function shape(asked: Asked, answer: RecordedAnswer): OrchestrateResult {
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
  };
}

@EventsHandler(SessionCancelled)
export class SessionCancelledHandler implements IEventHandler<SessionCancelled> {
  constructor(private readonly calls: Calls) {}

  handle({ stream }: SessionCancelled): void {
    this.calls.cancelSession(stream);
  }
}
