/** Calls one agent over A2A. Which interface is called, and how, is read from its card at the first call. */
import { z } from 'zod';
import type { KnownDescription, Task } from '../../../agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Health, Stop } from '../../../agents/agent-client.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import { traceHeaders } from '../../../kernel/trace.js';
import { UnderWay } from '../../../kernel/under-way.js';
import { reason } from '../http.client.js';
import type { Outgoing } from '../outgoing.client.js';
import { A2aCall } from './a2a-call.client.js';
import { Cards, type FoundCard } from './card.client.js';
import { capabilityNames } from './description.js';
import { type Asked, type Conversation, question } from './question.js';

const CARD_MS = 5000;
const HEALTH_MS = 5000;
/** Among the calls under way, whose names are ULIDs. */
const PROBE = 'probe';

const Kept = z.object({ contextId: z.string().optional(), taskId: z.string().optional() }).catch({});

export class A2aClient extends AgentClient {
  override readonly conversational = true;
  private readonly cards: Cards;
  private found: Promise<FoundCard> | null = null;
  private probing: Promise<Health> | null = null;
  private readonly running = new UnderWay<Stop>();
  private readonly closed = new AbortController();

  constructor(
    private readonly agent: { readonly endpoint: string; readonly description: KnownDescription },
    private readonly outgoing: Outgoing,
  ) {
    super();
    this.cards = new Cards(outgoing);
  }

  call(task: Task, options: CallOptions): Promise<Answer> {
    const stop = new Stop();
    options.stop.onStop((why) => stop.stop(why));
    this.running.begin(task.task_id, stop);
    const answer = new Promise<Answer>((resolve, reject) => {
      stop.onStop((why) => resolve({ success: false, code: 'cancelled', message: why.message }));
      this.converse(task, { ...options, stop }).then(resolve, reject);
    });
    return answer.finally(() => this.running.end(task.task_id));
  }

  private async converse(task: Task, options: CallOptions): Promise<Answer> {
    let found: FoundCard;
    try {
      found = await this.card();
    } catch (error) {
      return withoutCard(error as OrchestratorError, options);
    }
    const conversation: Conversation = Kept.parse(options.continuation ?? {});
    const channel = {
      address: found.address,
      streaming: found.card.capabilities?.streaming === true,
      outgoing: this.outgoing,
      headers: traceHeaders(options.trace, task.task_id),
    };
    const answer = await new A2aCall(channel, conversation, options).run(question(task, this.asked(task, found), conversation));
    // The card may be of yesterday: the next call reads it again.
    if (!answer.success && (answer.code === 'agent_unreachable' || answer.code === 'agent_invalid_response')) this.found = null;
    return answer;
  }

  /** Read once, by those who need it at the same time together. */
  private card(): Promise<FoundCard> {
    if (this.found) return this.found;
    const reading = this.readCard();
    this.found = reading;
    reading.catch(() => {
      if (this.found === reading) this.found = null;
    });
    return reading;
  }

  private async readCard(): Promise<FoundCard> {
    const { endpoint } = this.agent;
    const found = await this.cards.find(endpoint, AbortSignal.any([AbortSignal.timeout(CARD_MS), this.closed.signal]));
    if (found && found !== 'unchanged') return found;
    throw new OrchestratorError(
      'agent_not_understood',
      `there is no A2A agent card under ${endpoint}; put it at /.well-known/agent-card.json`,
    );
  }

  /** The capability as the card knows it; one that only our description has is asked for by its own name. */
  private asked({ capability }: Task, { card }: FoundCard): Asked {
    const skill = card.skills[capabilityNames(card.skills).indexOf(capability)];
    const hasSchema = this.agent.description.capabilities.some(
      ({ name, input_schema }) => name === capability && input_schema !== undefined,
    );
    return {
      skill: skill?.id ?? capability,
      hasSchema,
      inputModes: skill?.inputModes?.length ? skill.inputModes : (card.defaultInputModes ?? []),
    };
  }

  /** The card is served. Those who ask while a probe is under way share it. */
  health(): Promise<Health> {
    this.probing ??= this.probe().finally(() => {
      this.probing = null;
    });
    return this.probing;
  }

  private async probe(): Promise<Health> {
    const stop = new Stop();
    const timer = setTimeout(() => stop.stop(new Error(`no answer within ${HEALTH_MS / 1000} s`)), HEALTH_MS);
    this.running.begin(PROBE, stop);
    try {
      const status = await this.cards.look(this.agent.endpoint, stop);
      if (status >= 200 && status < 300) return { status: 'healthy', error: null };
      return { status: 'unhealthy', error: `its agent card answered HTTP ${status}` };
    } catch (error) {
      return { status: 'unhealthy', error: `its agent card cannot be fetched: ${reason(error)}` };
    } finally {
      clearTimeout(timer);
      this.running.end(PROBE);
    }
  }

  /** The connections belong to the way out, which others share. */
  async close(): Promise<void> {
    this.closed.abort();
    for (const stop of this.running.all()) stop.stop(new Error('the client was closed'));
  }
}

function withoutCard({ code, message }: OrchestratorError, { continuation }: CallOptions): Answer {
  const unreachable = code === 'agent_unreachable' || code === 'address_refused';
  return {
    success: false,
    code: unreachable ? 'agent_unreachable' : 'agent_invalid_response',
    message,
    ...(unreachable && { fault: { untouched: true } }), // without the card nothing was sent
    ...(continuation && { continuation }),
  };
}
