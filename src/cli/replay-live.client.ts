/** Reads a recorded session, sends what may be sent again, and compares. Nothing is sent twice: each call has an Idempotency-Key of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { misfit } from '../agents/schema-check.system.js';
import { type Comparator, type Comparison, compare, type Ending } from '../audit/replay-compare.js';
import { type AgentNow, comparatorsOf, endingOf, LivePlan, offerOf, type Planned, type Task } from '../audit/replay-live.js';
import type { ContractThen } from '../audit/replay-session.js';
import { isBroken, type Source } from '../audit/replay-source.js';
import { LONGEST_LINE, REPLAYS, type ReplayMessage } from '../audit/replay-wire.js';
import { readLines } from '../audit/verify-wire.js';
import { OrchestratorError } from '../kernel/errors.js';
import { newId } from '../kernel/ids.system.js';
import type { JsonValue } from '../kernel/json.js';
import type { Terminal } from '../kernel/terminal.system.js';
import { connect } from './connect.cli.js';
import type { OrchestratorClient } from './orchestrator.client.js';
import type { Answer } from './orchestrator.schema.js';
import type { LiveOptions } from './replay-live.cli.js';
import { type Live, LiveTold, type Told } from './replay-live-told.cli.js';
import { EXIT, follow, JsonDocument } from './replay-told.cli.js';

const AgentsNow = z.looseObject({
  agents: z.array(
    z.looseObject({
      agent_id: z.string(),
      status: z.string(),
      capabilities: z.array(
        z.looseObject({
          name: z.string(),
          replay_safe: z.boolean().optional(),
          output_schema: z.record(z.string(), z.custom<JsonValue>()).optional(),
        }),
      ),
    }),
  ),
});

/** A contract with its plan; of what is skipped only what it takes to name it. */
type Step = { readonly contract: ContractThen; readonly planned: Planned };

export async function replayLive(session: string, options: LiveOptions, terminal: Terminal): Promise<number> {
  const client = await connect(options, terminal);
  const { agents } = await client.ask('v1/agents', AgentsNow, { method: 'GET' });
  const run = new LiveRun(client, agents, options);
  const told = options.json ? new JsonDocument<Told, Live>(terminal.stdout, 'contracts', codeOf) : new LiveTold(terminal, codeOf);
  return follow(run.messages(session), told, terminal);
}

function codeOf({ executed, counts }: Live): number {
  if (!executed) return EXIT.same;
  if (counts.changed + counts.failed > 0) return EXIT.different;
  return counts.skipped > 0 ? EXIT.incomplete : EXIT.same;
}

class LiveRun {
  private readonly counts = { identical: 0, equivalent: 0, changed: 0, failed: 0, skipped: 0, superseded: 0, planned: 0 };
  /** Of the keys: the same session may be replayed into the same one again, and is then asked again. */
  private readonly id = newId();
  private readonly into: string;
  private readonly comparatorFor: (capability: string) => Comparator;
  private due = 0;

  constructor(
    private readonly client: OrchestratorClient,
    private readonly agents: readonly AgentNow[],
    private readonly options: LiveOptions,
  ) {
    this.into = options.into ?? `replay-${this.id}`;
    this.comparatorFor = comparatorsOf(options.compare ?? [])!;
  }

  /** The session is read to its end before the first call: its replay may take longer than anybody listens. */
  async *messages(session: string): AsyncGenerator<ReplayMessage<Told, Live>> {
    const plan = new LivePlan(this.agents, { unsafe: this.options.unsafe ?? false, max: this.options.max });
    const steps: Step[] = [];
    const ids = new Set<string>();
    let source: Source | undefined;
    for await (const message of this.read(session)) {
      if ('step' in message) yield message;
      if ('source' in message) {
        source = message.source;
        yield { source };
      }
      if (!('item' in message)) continue;
      const planned = plan.add(message.item);
      ids.add(message.item.contract_id);
      steps.push({ contract: 'send' in planned ? message.item : { ...message.item, request: {}, response: {} }, planned });
    }
    if (!source || isBroken(source)) return;
    const executed = this.options.execute === true;
    for (const [done, step] of steps.entries()) {
      yield { item: await this.take(settled(step, ids), executed) };
      if (executed) yield { step: 'replaying', done: done + 1, total: steps.length };
    }
    yield { result: { session_id: session, into: executed ? this.into : null, executed, calls: plan.calls, counts: this.counts } };
  }

  private read(session: string): AsyncGenerator<z.output<typeof REPLAYS.session>> {
    const lines = this.client.listen('v1/replay/session', { body: { session_id: session } });
    return readLines(lines, REPLAYS.session, { what: 'did not replay the session', longest: LONGEST_LINE });
  }

  private async take({ contract, planned }: Step, executed: boolean): Promise<Told> {
    const { contract_id, seq, capability } = contract;
    const told = { contract_id, seq, capability, agent_id: contract.agent_id, replay: null, by: null, changes: [], more: 0, why: null };
    if ('repeated' in planned) {
      this.counts.superseded += 1;
      return { ...told, outcome: 'superseded', why: `tried again in ${planned.repeated}` };
    }
    if ('skipped' in planned) {
      this.counts.skipped += 1;
      return { ...told, outcome: 'skipped', why: planned.skipped };
    }
    const { agent_id } = planned.send;
    if (!executed) {
      this.counts.planned += 1;
      return { ...told, agent_id, outcome: 'planned' };
    }
    await this.pace();
    const replayed = await this.send(contract, planned.send);
    this.counts[replayed.outcome] += 1;
    return { ...told, agent_id, ...replayed };
  }

  /** Calls begin no faster than the rate allows. */
  private async pace(): Promise<void> {
    const now = performance.now();
    this.due = Math.max(now, this.due);
    if (this.due > now) await sleep(this.due - now);
    this.due += 1000 / this.options.rate;
  }

  private async send(contract: ContractThen, task: Task): Promise<Comparison & { replay: string | null; why: string | null }> {
    const body = { ...task, session_id: this.into, replay_of: contract.contract_id, timeout_seconds: this.options.timeout };
    let answer: Answer;
    try {
      answer = await this.client.orchestrate(body, { key: `replay ${this.id} ${contract.contract_id}` });
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      return { outcome: 'failed', by: null, changes: [], more: 0, replay: null, why: error.message };
    }
    const schema = offerOf(this.agents.find(({ agent_id }) => agent_id === task.agent_id)!, task.capability)!.output_schema;
    const fits = schema ? (result: JsonValue) => misfit(schema, result, '') === null : null;
    const comparison = compare(endingOf(contract), endedNow(answer), this.comparatorFor(task.capability), fits);
    return { ...comparison, replay: answer.contract_id, why: answer.success ? null : `${answer.error_code}: ${answer.error}` };
  }
}

/** An attempt that was to follow and never did leaves its task without an end. */
function settled(step: Step, ids: ReadonlySet<string>): Step {
  const { planned } = step;
  return 'repeated' in planned && !ids.has(planned.repeated)
    ? { ...step, planned: { skipped: 'it was to be tried again, and was not' } }
    : step;
}

function endedNow({ success, error_code, data, text, files }: Answer): Ending {
  return {
    status: success ? 'completed' : error_code === 'cancelled' ? 'cancelled' : 'failed',
    error_code,
    result: (data ?? null) as JsonValue,
    text: text ?? null,
    files: (files ?? []) as JsonValue,
  };
}
