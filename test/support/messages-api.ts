/** The Messages API on this machine, answering as it is told: the real SDK speaks to it over real HTTP. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AskedModel {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: {
    model: string;
    max_tokens?: number;
    system: { text: string; cache_control?: unknown }[];
    messages: { role: string; content: string | { text: string; cache_control?: unknown }[] }[];
    output_config: { format: { type: string; schema: Record<string, unknown> } };
    temperature?: number;
    tools?: { name: string; input_schema: Record<string, unknown> }[];
    tool_choice?: Record<string, unknown>;
  };
}

export type ModelManner = (response: ServerResponse, asked: AskedModel) => void;

export interface MessagesApi {
  readonly url: string;
  /** What was asked, in order; counting of tokens apart. */
  readonly asked: AskedModel[];
  readonly counted: AskedModel[];
  /** Connections that were closed before they were answered. */
  abandoned: number;
  /** Manners of the next answers; the last one stays. */
  next(...manners: ModelManner[]): void;
  /** What counting answers: by default a token for every four bytes of the prompt. */
  count: ModelManner;
  close(): Promise<void>;
}

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

const USAGE = { input_tokens: 100, output_tokens: 20, cache_creation_input_tokens: 30, cache_read_input_tokens: 50 };

/** Uses this tool, with this as its input. */
export const usesTool =
  (name: string, input: (asked: AskedModel) => unknown): ModelManner =>
  (response, asked) =>
    json(response, 200, {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: asked.body.model,
      content: [
        { type: 'text', text: 'Let me see.' },
        { type: 'tool_use', id: 'toolu_1', name, input: input(asked) },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: USAGE,
    });

export const textOf = ({ body }: AskedModel): string =>
  body.messages.map((m) => (typeof m.content === 'string' ? m.content : m.content.map((c) => c.text).join('\n'))).join('\n');

/** Ids of the contracts that were shown, in order. */
export const contractsIn = (asked: AskedModel): string[] => [...textOf(asked).matchAll(/<contract id="(\w+)"/g)].map((m) => m[1]!);

/** Says this text and stops for this reason. */
export const saysText =
  (text: string | ((asked: AskedModel) => string), stop_reason = 'end_turn'): ModelManner =>
  (response, asked) =>
    json(response, 200, {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: asked.body.model,
      content: [{ type: 'text', text: typeof text === 'string' ? text : text(asked) }],
      stop_reason,
      stop_sequence: null,
      usage: USAGE,
    });

type Said = { text: string; contracts: string[] };

/** A well-formed answer made of what was asked. */
export const answers = (make: (contracts: string[], asked: AskedModel) => Record<string, Said[]>): ModelManner =>
  saysText((asked) => {
    const empty = { sentences: [], key_decisions: [], facts: [], preferences: [], open_questions: [], failures: [] };
    return JSON.stringify({ ...empty, ...make(contractsIn(asked), asked) });
  });

/** One sentence about each contract. */
export const good: ModelManner = answers((contracts) => ({
  sentences: contracts.map((id) => ({ text: 'Something was asked and answered.', contracts: [id] })),
  facts: contracts.slice(0, 1).map((id) => ({ text: 'The caller greeted.', contracts: [id] })),
}));

export const fails =
  (status: number, type: string, headers: Record<string, string> = {}): ModelManner =>
  (response) =>
    json(response, status, { type: 'error', error: { type, message: `played ${type}` } }, headers);

export const hangs: ModelManner = () => undefined;
export const redirects: ModelManner = (response) => void response.writeHead(307, { location: '/elsewhere' }).end();
/** As long as somebody listens, at most 64 MiB. */
export const pours: ModelManner = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  let left = 64;
  const more = () => {
    while (left-- > 0 && !response.destroyed) if (!response.write(Buffer.alloc(1024 * 1024, ' '))) return void response.once('drain', more);
    response.end();
  };
  more();
};
export const dropsConnection: ModelManner = (response) => void response.socket!.destroy();

export async function startMessagesApi(): Promise<MessagesApi> {
  let manners: ModelManner[] = [good];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const asked = {
        path: request.url!,
        headers: request.headers,
        body: JSON.parse(Buffer.concat(chunks).toString()) as AskedModel['body'],
      };
      response.on('close', () => {
        if (!response.writableFinished) api.abandoned += 1;
      });
      if (asked.path.endsWith('/count_tokens')) {
        api.counted.push(asked);
        return api.count(response, asked);
      }
      api.asked.push(asked);
      const manner = manners.length > 1 ? manners.shift()! : manners[0]!;
      return manner(response, asked);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const api: MessagesApi = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    counted: [],
    abandoned: 0,
    next: (...next) => {
      manners = next;
    },
    count: (response, asked) => json(response, 200, { input_tokens: Math.ceil(textOf(asked).length / 4) }),
    close: () =>
      new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  return api;
}

/** Counting answers this. */
export const counts =
  (tokens: (asked: AskedModel) => number): ModelManner =>
  (response, asked) =>
    json(response, 200, { input_tokens: tokens(asked) });
