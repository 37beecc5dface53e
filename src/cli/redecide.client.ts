/** Takes recorded decisions again, asking a language model where that is wanted, and never an agent. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { AgentState } from '../agents/agent-state.js';
import { Registration } from '../agents/registration.js';
import { misfit } from '../agents/schema-check.system.js';
import {
  type Chosen,
  type DecisionInput,
  LATER_ATTEMPT,
  type RecordedRequest,
  type Redecided,
  Redecisions,
  type RequestsRead,
} from '../audit/replay-decisions.js';
import { pointOf } from '../audit/replay-session.js';
import type { ReplayMessage } from '../audit/replay-wire.js';
import { type Config, readConfig } from '../config.js';
import { AnthropicClassifier } from '../integration/llm/anthropic-classifier.client.js';
import { OrchestratorError } from '../kernel/errors.js';
import { parseJson } from '../kernel/json.js';
import type { Terminal } from '../kernel/terminal.system.js';
import { askClassifier } from '../routing/ask.system.js';
import { meaningsIn } from '../routing/meanings-file.system.js';
import { readRules } from '../routing/rules-file.system.js';
import { asked } from './replay-asked.cli.js';
import type { DecisionsOptions } from './replay-decisions.cli.js';
import { type Changed, type Decisions, DecisionsTold } from './replay-decisions-told.cli.js';
import { EXIT, follow, JsonDocument } from './replay-told.cli.js';

export async function replayDecisions(options: DecisionsOptions, terminal: Terminal): Promise<number> {
  const config = readConfig({ ...terminal.env });
  const { session, tenant, verify, agentsOfThen = false, json } = options;
  if (agentsOfThen && options.agents !== undefined) throw wrong('give either --agents or --agents-of-then');
  const agents = agentsOfThen ? 'then' : 'now';
  const redecisions = new Redecisions({
    rules: await readRules(options.routing ?? config.ROUTING_FILE),
    meanings: await meaningsIn(),
    strategy: config.ROUTING_STRATEGY,
    threshold: config.ROUTING_CONFIDENCE,
    shown: config.ROUTING_CANDIDATES,
    balancing: config.BALANCING,
    misfit: (schema, value) => misfit(schema, value, '/parameters'),
  });
  const others = options.agents === undefined ? null : await agentsIn(options.agents);
  for (const state of others ?? []) redecisions.learn(state);
  const since = options.since === undefined ? undefined : sinceOf(options.since);
  const recent = options.model !== undefined;
  const inputs = asked<DecisionInput, RequestsRead>(terminal, {
    kind: 'decisions',
    body: { session_id: session, since: options.since, agents, recent, verify },
    tenant,
    fromDatabase: async function* (db) {
      const { replayRequests } = await import('../audit/replay-decisions.postgres.js');
      yield* replayRequests(db, { tenant, session, since, agents, recent, verify });
    },
  });
  const run = new Run(redecisions, others ? 'file' : agents, modelOf(options, config));
  const told = json ? new JsonDocument<Changed, Decisions>(terminal.stdout, 'changed', codeOf) : new DecisionsTold(terminal, codeOf);
  return follow(run.messages(inputs), told, terminal);
}

function codeOf({ changed_total, skipped, unexplained }: Decisions): number {
  if (changed_total > 0) return EXIT.different;
  return skipped.length > 0 || unexplained > 0 ? EXIT.incomplete : EXIT.same;
}

interface Model {
  readonly classifier: AnthropicClassifier;
  readonly most: number;
  readonly timeoutMs: number;
}

class Run {
  private readonly counts = { same: 0, changed_total: 0, later_attempts: 0, questions: 0 };
  private readonly skipped = new Map<string, number>();
  private readonly confusion = new Map<string, { was: string; is: string; n: number }>();

  constructor(
    private readonly redecisions: Redecisions,
    /** Whose agents: those of a file are known already. */
    private readonly whose: 'now' | 'then' | 'file',
    private readonly model: Model | null,
  ) {}

  async *messages(inputs: AsyncIterable<ReplayMessage<DecisionInput, RequestsRead>>): AsyncGenerator<ReplayMessage<Changed, Decisions>> {
    for await (const message of inputs) {
      if ('result' in message) yield { result: this.result(message.result) };
      else if (!('item' in message)) {
        if ('source' in message && this.whose !== 'then') this.redecisions.position = message.source.size;
        yield message;
      } else if ('request' in message.item) {
        const changed = this.take(message.item.request, await this.decide(message.item.request));
        if (changed) yield { item: changed };
      } else if (this.whose !== 'file') this.redecisions.learn(message.item.agent);
    }
  }

  private async decide(request: RecordedRequest): Promise<Redecided> {
    const { model } = this;
    const decided = this.redecisions.decide(request, { asking: model !== null });
    if (!('ask' in decided) || !model) return decided;
    if (this.counts.questions >= model.most) return { skipped: `it is beyond ${model.most} questions to the model (--max)` };
    this.counts.questions += 1;
    const { message = '', parameters } = decided.question;
    const told = { message, given: parameters, recent: request.recent ?? { turns: [], previous: null } };
    const reply = await askClassifier(model.classifier, told, decided.ask, model.timeoutMs);
    return this.redecisions.decide(request, { reply, asking: true });
  }

  private take(request: RecordedRequest, decided: Redecided): Changed | null {
    if ('ask' in decided) throw new OrchestratorError('internal', 'a model was asked and is to be asked again');
    if ('skipped' in decided) {
      if (decided.skipped === LATER_ATTEMPT) this.counts.later_attempts += 1;
      else this.skipped.set(decided.skipped, (this.skipped.get(decided.skipped) ?? 0) + 1);
      return null;
    }
    const { was, is, same } = decided;
    const [before, after] = [nameOf(was), nameOf(is)];
    const cell = this.confusion.get(`${before}\n${after}`) ?? { was: before, is: after, n: 0 };
    this.confusion.set(`${before}\n${after}`, { ...cell, n: cell.n + 1 });
    this.counts[same ? 'same' : 'changed_total'] += 1;
    const { contract_id, stream, seq, asked } = request;
    return same ? null : { contract_id, stream, seq, asked, was, is };
  }

  private result({ requests, unexplained }: RequestsRead): Decisions {
    const skipped = [...this.skipped].map(([why, n]) => ({ why, n })).sort((a, b) => b.n - a.n);
    const confusion = [...this.confusion.values()].sort((a, b) => b.n - a.n);
    return { requests, unexplained, ...this.counts, skipped, confusion };
  }
}

const nameOf = ({ agent_id, capability }: Chosen) => (agent_id === null ? 'nobody' : `${agent_id} as ${capability}`);

function modelOf({ model, max }: DecisionsOptions, config: Config): Model | null {
  if (model === undefined) return null;
  const { ANTHROPIC_API_KEY: apiKey, ANTHROPIC_BASE_URL: baseUrl, ANTHROPIC_MAX_RETRIES: maxRetries } = config;
  if (apiKey === undefined) throw wrong('--model asks a language model: set ANTHROPIC_API_KEY');
  const timeoutMs = Math.round(config.ROUTING_TIMEOUT_SECONDS * 1000);
  return { classifier: new AnthropicClassifier({ apiKey, baseUrl, maxRetries, timeoutMs, model }), most: max, timeoutMs };
}

function sinceOf(text: string): number {
  const point = pointOf(text);
  if ('milliseconds' in point) return point.milliseconds;
  throw wrong(`--since must be an ISO 8601 time with its zone, not ${JSON.stringify(text)}`);
}

const present = (value: unknown) =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null)) : value;

const AgentsFile = z.looseObject({
  agents: z.array(z.preprocess(present, Registration.extend({ status: z.string().default('available') }))).max(10_000),
});

/** Agents as GET /v1/agents describes them. */
async function agentsIn(file: string): Promise<AgentState[]> {
  let content: unknown;
  try {
    content = parseJson(await readFile(file, 'utf8'));
  } catch (error) {
    throw wrong(`--agents ${file}: ${(error as Error).message}`);
  }
  const parsed = AgentsFile.safeParse(content);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw wrong(
      `--agents ${file}: ${[issue!.path.join('.'), issue!.message].filter(Boolean).join(': ')}; it must be what GET /v1/agents answers`,
    );
  }
  return parsed.data.agents.map(({ status, ...description }) => ({
    agent_id: description.agent_id,
    seq: 1,
    in_force: { event_id: '', seq: 1, type: 'agent.registered', time: '', hash: '', description },
    retired_at: null,
    stopped: status === 'stopped',
    health: status === 'offline' || status === 'error' ? { state: status, reason: null, since: '' } : null,
  }));
}

const wrong = (why: string) => new OrchestratorError('invalid_request', why);
