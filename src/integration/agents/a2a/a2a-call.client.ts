/**
 * One call of an agent over A2A: a message goes out, and what becomes of it is followed until it is final or nobody wants it any more.
 *
 * Agents that stream are listened to, the others are asked to answer at once and then for their task: either way the task's id is known
 * early, which it takes to cancel it. A stream that breaks loses nothing, the task is asked for from then on. The message itself is never
 * sent twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentCard, Message, SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import { type Client, ClientFactory, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client';
import type { Answer, CallOptions } from '../../../agents/agent-client.js';
import type { JsonValue } from '../../../kernel/json.js';
import { touched } from '../fault.js';
import type { Outgoing } from '../outgoing.client.js';
import type { Address } from './card.js';
import { Following } from './following.js';
import type { Conversation } from './question.js';
import { continuation } from './reading.js';
import { Wire } from './wire.client.js';

/** Between two questions about a task: often at first, for agents that are quick. */
const ASK_MS = { first: 20, growth: 1.6, most: 2000 };
/** Unanswered questions in a row before an agent counts as gone; about six seconds. */
const MOST_UNANSWERED = 5;
const UNANSWERED_MS = 400;
/** For telling the agent that nobody waits any more. */
const CANCEL_MS = 1000;

export interface Channel {
  readonly address: Address;
  readonly streaming: boolean;
  readonly outgoing: Outgoing;
  /** Sent with everything that is asked in this call. */
  readonly headers: Record<string, string>;
}

export class A2aCall {
  private readonly wire: Wire;
  private readonly following: Following;
  /** Ends whatever is under way. */
  private readonly over = new AbortController();
  private stopped = false;
  /** How the stream broke, if it did. */
  private broken: string | null = null;

  constructor(
    private readonly channel: Channel,
    private readonly conversation: Conversation,
    { stop, progress }: CallOptions,
  ) {
    this.wire = new Wire(channel.outgoing);
    this.following = new Following(conversation.taskId, (told) => this.stopped || progress?.(told));
    stop.onStop(() => this.giveUp());
  }

  async run(message: JsonValue): Promise<Answer> {
    const { contextId } = this.conversation;
    try {
      const client = await this.connect(this.wire);
      await this.ask(client, message);
      await this.follow(client);
      const { said } = this.wire;
      const raw = Array.isArray(said) ? [...said] : said; // of a stream that is still read to its end
      return { ...continuation({ contextId }), ...this.following.answer(), ...(raw !== undefined && { raw }) };
    } catch (error) {
      const failure = this.failed(error);
      // What the agent refused is not worth going back to; after anything else nobody knows.
      return { ...failure, ...continuation(failure.code === 'agent_failed' ? { contextId } : this.conversation) };
    }
  }

  /** The SDK chooses the transport by the card; it is shown the one interface that was chosen. */
  private connect(wire: Wire): Promise<Client> {
    const options = { ['fetchImpl']: wire.fetch, legacyCompat: { enabled: true } }; // the SDK's word, not ours
    const factory = new ClientFactory({ transports: [new JsonRpcTransportFactory(options), new RestTransportFactory(options)] });
    const { address, streaming } = this.channel;
    return factory.createFromAgentCard(AgentCard.fromJSON({ supportedInterfaces: [address], capabilities: { streaming } }));
  }

  private async ask(client: Client, message: JsonValue): Promise<void> {
    const { streaming } = this.channel;
    const configuration = { returnImmediately: !streaming, historyLength: 0 };
    const request = SendMessageRequest.fromJSON({ message, configuration });
    if (streaming) return this.listen(client.sendMessageStream(request, this.options()));
    const said = await client.sendMessage(request, this.options());
    this.take('messageId' in said ? { message: Message.toJSON(said) } : { task: Task.toJSON(said) });
  }

  private async listen(events: AsyncGenerator<StreamResponse, void, undefined>): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await events.next();
        if (done) break;
        this.take(StreamResponse.toJSON(value));
        if (this.following.final) return drain(events, this.over);
      }
    } catch (error) {
      if (!this.isLost() || this.following.runningTask === null) throw error;
      this.broken = this.wire.failure!.message;
    }
    if (this.following.runningTask === null) throw new Error('the stream ended before the agent said anything');
  }

  private async follow(client: Client): Promise<void> {
    let pause = ASK_MS.first;
    let unanswered = 0;
    while (!this.following.final) {
      const id = this.following.runningTask!;
      await sleep(unanswered > 0 ? unanswered * UNANSWERED_MS : pause, undefined, { signal: this.over.signal });
      pause = Math.min(pause * ASK_MS.growth, ASK_MS.most);
      try {
        const task = await client.getTask({ tenant: '', id, historyLength: 0 }, this.options());
        unanswered = 0;
        this.take({ task: Task.toJSON(task) });
      } catch (error) {
        unanswered += 1;
        if (!this.isLost() || unanswered > MOST_UNANSWERED || this.over.signal.aborted) throw error;
      }
    }
  }

  private take(said: unknown): void {
    this.following.add(said);
    if (this.stopped) this.cancel();
  }

  /** An agent that does not know its task any more after a stream broke has died half-way, whatever it says. */
  private failed(error: unknown) {
    const told = this.wire.failed(error);
    const failure = this.following.runningTask === null ? told : touched(told);
    if (this.broken === null) return failure;
    const message = `the stream broke (${this.broken}), and then: ${failure.message}`;
    return { ...failure, code: 'agent_unreachable' as const, message };
  }

  /** The last thing asked got no answer from the agent; perhaps the next one does. */
  private isLost(): boolean {
    return ['agent_unreachable', 'agent_failed', 'agent_busy'].includes(this.wire.failure?.code ?? '');
  }

  /** A task that has not been named yet may be so within a moment: without its name it cannot be cancelled. */
  private giveUp(): void {
    this.stopped = true;
    if (this.following.runningTask !== null) this.cancel();
    else setTimeout(() => this.over.abort(), CANCEL_MS).unref();
  }

  private cancel(): void {
    this.over.abort();
    const id = this.following.runningTask;
    if (id === null) return;
    const options = { signal: AbortSignal.timeout(CANCEL_MS), serviceParameters: this.channel.headers };
    this.connect(new Wire(this.channel.outgoing))
      .then((client) => client.cancelTask({ tenant: '', id, metadata: undefined }, options))
      .catch(() => undefined); // nobody is left to be told
  }

  private options() {
    return { signal: this.over.signal, serviceParameters: this.channel.headers };
  }
}

/** The rest of a stream, of which nothing is expected: once it is read to its end, its connection serves the next call. */
function drain(events: AsyncGenerator<StreamResponse, void, undefined>, over: AbortController): void {
  const timer = setTimeout(() => over.abort(), CANCEL_MS);
  events
    .next()
    .catch(() => undefined)
    .then(() => clearTimeout(timer))
    .then(() => events.return())
    .catch(() => undefined);
}
