/** Carries a task from request to response: routed, recorded, called, recorded, answered. */
import { createHash } from 'node:crypto';
import { Command, CommandHandler, EventsHandler, type ICommandHandler, type IEventHandler } from '@nestjs/cqrs';
import { AgentRegistry } from '../agents/directory.js';
import { type Asked, failed, type Outcome } from '../contracts/contract.js';
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
import { Calls } from './calls.system.js';
import { fitOutput, unfitInput } from './fit.system.js';
import { Recall, type Recalled } from './recall.js';

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
  readonly error: string | null;
  readonly error_code: string | null;
  readonly contract_id: string;
  readonly agent_id: string | null;
  readonly task_id: string | null;
  readonly timestamp: string;
  readonly receipt: { stream: string; seq: number; hash: string };
}

export class Orchestrate extends Command<OrchestrateResult> {
  constructor(
    readonly caller: Caller,
    readonly request: TaskRequest,
    /** The caller's Idempotency-Key. */
    readonly key?: string,
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
    private readonly memory: Recall,
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
    return shape(asked, answer);
  }

  private async carry({ caller, request, key }: Orchestrate): Promise<Carried> {
    if (!this.instance.fit) {
      const message = 'this process has lost touch with its database and must not call agents; nothing was recorded, try again';
      throw new OrchestratorError('ledger_unavailable', message, { retryAfter: 5 });
    }
    const decision = route(request, this.registry);
    const { agent } = decision;
    const memory = request.context['memory'] === true ? await this.memory.recall(caller.tenant, request.session_id) : undefined;
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
          cause: null,
          trace: caller.trace?.id ?? null,
        },
        payload: { ...payloadOf(caller, request, decision), memory: memory === null ? null : memory?.reference },
        seconds: milliseconds / 1000,
        key: claimed,
      },
      agent ? unfitInput(agent, decision.capability!, request.parameters) : failed('no_agent', decision.refused ?? ''),
    );
    const result = await opening.catch((error: Error) => this.usedBefore(claimed, error));
    if ('used' in result) return this.repeat(result.used, request);
    const { asked, stream } = result.opened;
    if (result.answer || !agent) return { asked, answer: result.answer! };
    const context = withMemory(request, memory);
    const answered: Outcome = await this.calls.run({
      agent: agent.description.agent_id,
      client: agent.client,
      task: { task_id: asked.id, capability: decision.capability!, parameters: request.parameters, context },
      trace: caller.trace,
      stream,
      milliseconds,
    });
    const outcome = fitOutput(agent, decision.capability!, answered);
    return { asked, answer: await this.contracts.close(result.opened, outcome, Math.max(0, deadline - Date.now())) };
  }

  /** A closed session takes no more work, but what it answered can still be asked for. */
  private async usedBefore(claimed: KeyClaim | undefined, error: Error) {
    const closed = error instanceof OrchestratorError && error.code === 'session_closed';
    const used = closed && claimed ? await this.contracts.useOf(claimed) : null;
    if (!used) throw error;
    return { used };
  }

  /** The key was used before: same body, same answer. */
  private async repeat(used: Extract<Refusal, { code: 'key_used' }>, request: TaskRequest): Promise<Carried> {
    if (!used.body.equals(bodyHash(used.salt, request))) {
      throw new OrchestratorError('key_conflict', 'this Idempotency-Key was used with another body; use a new key for a new request');
    }
    const ended = await this.contracts.ended(used.request);
    if (!ended) {
      throw new OrchestratorError('key_in_flight', `the request with this Idempotency-Key is still running as contract ${used.request}`, {
        retryAfter: 1,
      });
    }
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

/** The agent gets the block, the record its reference: what the block says stands in the ledger already and never changes. */
const withMemory = ({ context }: TaskRequest, memory: Recalled | null | undefined): Record<string, JsonValue> =>
  memory === undefined ? context : { ...context, memory: memory === null ? null : memory.block };

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

function shape(asked: Asked, answer: RecordedAnswer): OrchestrateResult {
  return {
    success: answer.status === 'completed',
    data: answer.result ?? null,
    error: answer.message ?? null,
    error_code: answer.code ?? null,
    contract_id: asked.id,
    agent_id: asked.to,
    task_id: asked.task,
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
