/**
 * A real A2A agent on this machine, built with the SDK of its protocol's version. What it does is chosen by the skill it is asked for; a
 * few skills answer past the SDK, as no sound agent would.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentCard, Message, Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import * as before from 'a2a-sdk-0.3/server';
import * as beforeExpress from 'a2a-sdk-0.3/server/express';
import type { JsonValue } from '../../src/kernel/json.js';

export type Json = { [name: string]: JsonValue };
type Handle = (request: IncomingMessage & { body?: unknown }, response: ServerResponse, next: () => void) => void;
interface App {
  (request: IncomingMessage, response: ServerResponse): void;
  use(...handles: unknown[]): void;
}
// Express comes without types.
const express = require('express') as (() => App) & { json(options: { limit: string }): Handle };

/** What an agent can say, in the words of 1.0: parts are `{text}`, `{data}`, `{url}` or `{raw}`, states are `working`, `input-required`, … */
export interface Speaker {
  readonly asked: Json;
  message(parts: Json[]): void;
  task(state: string, parts?: Json[]): void;
  status(state: string, text?: string): void;
  artifact(parts: Json[], append?: boolean): void;
  /** Resolves when the task is cancelled. */
  readonly cancelled: Promise<void>;
}

export type Skill = (say: Speaker) => void | Promise<void>;
/** Answers past the SDK. */
export type Rough = (response: ServerResponse, body: unknown) => void;

export interface A2aPeerOptions {
  readonly line: '1.0' | '0.3';
  readonly binding: 'JSONRPC' | 'HTTP+JSON';
  readonly streaming: boolean;
  readonly skills: Record<string, Skill>;
  readonly rough?: Record<string, Rough>;
  /** Members of the card in place of the usual ones. */
  readonly card?: Json;
  readonly port?: number;
}

export interface A2aPeer {
  readonly url: string;
  readonly port: number;
  readonly heard: { message: Json; headers: IncomingHttpHeaders; path: string }[];
  /** The ids of messages whose task was cancelled. */
  readonly cancelled: string[];
  close(): Promise<void>;
}

export async function startA2aPeer(options: A2aPeerOptions): Promise<A2aPeer> {
  const heard: A2aPeer['heard'] = [];
  const app = express();
  const server = createServer(app);
  await new Promise<void>((ready) => server.listen(options.port ?? 0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  app.use(express.json({ limit: '16mb' }));
  const listen: Handle = (request, response, next) => {
    const { params, message } = (request.body ?? {}) as { params?: { message?: Json }; message?: Json };
    const asked = params?.message ?? message;
    if (!asked) return next();
    heard.push({ message: asked, headers: request.headers, path: request.url! });
    const rough = options.rough?.[skillOf(asked)];
    if (rough) rough(response, request.body);
    else next();
  };
  app.use(listen);
  const executor = new Executor(options);
  if (options.line === '1.0') mount(app, url, options, executor);
  else mountBefore(app, url, options, executor);
  return { url, port, heard, cancelled: executor.cancelled, close: () => closed(server) };
}

function closed(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}

const skillOf = (message: Json) => (message['metadata'] as Json | undefined)?.['skill'] as string;

interface Context {
  readonly taskId: string;
  readonly contextId: string;
  readonly userMessage: unknown;
}
interface Bus {
  publish(event: unknown): void;
  finished(): void;
}

/** Runs skills for the SDK of either version. */
class Executor {
  readonly cancelled: string[] = [];
  private readonly running = new Map<string, () => void>();

  constructor(private readonly options: A2aPeerOptions) {}

  async execute({ taskId, contextId, userMessage }: Context, bus: Bus): Promise<void> {
    const is10 = this.options.line === '1.0';
    const asked = (is10 ? Message.toJSON(userMessage as Message) : userMessage) as Json;
    const say = (kind: Kind, said: Json) => bus.publish(is10 ? event10(kind, said) : event03(kind, said));
    const words = (text: string) => ({ messageId: `${taskId}-words`, role: 'ROLE_AGENT', contextId, taskId, parts: [{ text }] });
    const cancelled = new Promise<void>((resolve) => this.running.set(taskId, resolve)).then(() => {
      this.cancelled.push(asked['messageId'] as string);
      say('statusUpdate', { taskId, contextId, status: { state: state10('canceled') } });
    });
    await this.options.skills[skillOf(asked)]!({
      asked,
      cancelled,
      message: (parts) => say('message', { messageId: `${taskId}-answer`, role: 'ROLE_AGENT', contextId, parts }),
      task: (state, parts = []) =>
        say('task', {
          id: taskId,
          contextId,
          status: { state: state10(state) },
          artifacts: parts.length ? [{ artifactId: 'a1', parts }] : [],
        }),
      status: (state, text) =>
        say('statusUpdate', { taskId, contextId, status: { state: state10(state), ...(text && { message: words(text) }) } }),
      artifact: (parts, append = false) => say('artifactUpdate', { taskId, contextId, artifact: { artifactId: 'a1', parts }, append }),
    });
    bus.finished();
  }

  async cancelTask(taskId: string): Promise<void> {
    this.running.get(taskId)?.();
  }
}

type Kind = 'message' | 'task' | 'statusUpdate' | 'artifactUpdate';
const TYPES = { message: Message, task: Task, statusUpdate: TaskStatusUpdateEvent, artifactUpdate: TaskArtifactUpdateEvent };
const state10 = (state: string) => `TASK_STATE_${state.toUpperCase().replace('-', '_')}`;
const event10 = (kind: Kind, said: Json) => AgentEvent[kind](TYPES[kind].fromJSON(said) as never);

/** The same in 0.3. */
function event03(kind: Kind, said: Json): Json {
  const kinds = { message: 'message', task: 'task', statusUpdate: 'status-update', artifactUpdate: 'artifact-update' };
  return {
    kind: kinds[kind],
    ...(in03(said) as Json),
    ...(kind === 'statusUpdate' && { final: !/WORKING|SUBMITTED/.test(JSON.stringify(said)) }),
  };
}

function in03(value: JsonValue, name = ''): JsonValue {
  if (name === 'parts') return (value as Json[]).map(part03);
  if (name === 'state') return (value as string).replace('TASK_STATE_', '').toLowerCase().replace('_', '-');
  if (name === 'role') return 'agent';
  if (Array.isArray(value)) return value.map((item) => in03(item));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, in03(inner, key)]));
  return name === 'message' ? { kind: 'message', ...members } : members;
}

function part03({ text, data, raw, url, filename, mediaType }: Json): Json {
  if (text !== undefined) return { kind: 'text', text };
  if (data !== undefined) return { kind: 'data', data };
  const known = { ...(filename && { name: filename }), ...(mediaType && { mimeType: mediaType }) };
  return { kind: 'file', file: { ...known, ...(raw === undefined ? { uri: url! } : { bytes: raw }) } };
}

const cardOf = (options: A2aPeerOptions): Json => ({
  name: 'Test agent',
  description: 'Says what it is told to say',
  version: '2.1.0',
  capabilities: { streaming: options.streaming },
  defaultInputModes: ['application/json', 'text/plain'],
  defaultOutputModes: ['application/json'],
  skills: [...Object.keys(options.skills), ...Object.keys(options.rough ?? {})].map((id) => ({
    id,
    name: id,
    description: `Does ${id}`,
    tags: ['test'],
  })),
  ...options.card,
});

function mount(app: App, url: string, options: A2aPeerOptions, executor: Executor): void {
  const interfaces = [{ url: `${url}/a2a`, protocolBinding: options.binding, protocolVersion: '1.0' }];
  const card = AgentCard.fromJSON({ supportedInterfaces: interfaces, ...cardOf(options) });
  const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), executor as never);
  const mounted = { requestHandler, userBuilder: UserBuilder.noAuthentication };
  app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: requestHandler }));
  app.use('/a2a', options.binding === 'JSONRPC' ? jsonRpcHandler(mounted) : restHandler(mounted));
}

function mountBefore(app: App, url: string, options: A2aPeerOptions, executor: Executor): void {
  const card = { protocolVersion: '0.3.0', url: `${url}/a2a`, preferredTransport: options.binding, ...cardOf(options) };
  const requestHandler = new before.DefaultRequestHandler(card as never, new before.InMemoryTaskStore(), executor as never);
  const mounted = { requestHandler, userBuilder: beforeExpress.UserBuilder.noAuthentication };
  app.use('/.well-known/agent-card.json', beforeExpress.agentCardHandler({ agentCardProvider: requestHandler }));
  app.use('/a2a', options.binding === 'JSONRPC' ? beforeExpress.jsonRpcHandler(mounted) : beforeExpress.restHandler(mounted));
}
