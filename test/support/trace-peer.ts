/** The example Trace on this machine, with manners in front of it: it may be away, slow, or answer something else. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { JsonValue } from '../../src/kernel/json.js';

const EXAMPLE = join(__dirname, '../../examples/trace-server/server.mjs');

export interface TracedEvent {
  readonly event_type: string;
  readonly data: Record<string, JsonValue> & { event_id: string; seq: number; stream: string };
}

export interface TracedNode {
  readonly node_id: string;
  readonly parent_id: string | null;
  readonly metadata: Record<string, JsonValue>;
}

/** Answers the request itself and returns true, or leaves it to Trace. */
export type TraceManner = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

export class TracePeer {
  manner: TraceManner = () => false;
  /** `METHOD /path` of every request, in the order they came. */
  readonly requests: string[] = [];
  private port = 0;

  private constructor(
    private readonly trace: Server,
    private server: Server,
  ) {}

  static async start(): Promise<TracePeer> {
    const { traceServer } = (await import(EXAMPLE)) as { traceServer: () => Server };
    const peer = new TracePeer(traceServer(), createServer());
    await peer.appear();
    return peer;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Listens, again at the same place if it did before. */
  async appear(): Promise<void> {
    this.server = createServer((request, response) => void this.answer(request, response));
    await new Promise<void>((listening) => this.server.listen(this.port, '127.0.0.1', listening));
    this.port = (this.server.address() as AddressInfo).port;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests.push(`${request.method} ${request.url}`);
    if (!(await this.manner(request, response))) this.trace.emit('request', request, response);
  }

  /** Refuses connections and cuts those there are; remembers what it took. */
  async vanish(): Promise<void> {
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeAllConnections();
    await closed;
  }

  count(start: string): number {
    return this.requests.filter((request) => request.startsWith(start)).length;
  }

  async events(sid: string): Promise<TracedEvent[]> {
    const { events } = await this.get<{ events: TracedEvent[] }>(`/v1/sessions/${sid}/events`);
    return events;
  }

  /** Of all sessions. */
  async all(): Promise<Map<string, TracedEvent[]>> {
    const { sessions } = await this.get<{ sessions: { session_id: string }[] }>('/v1/sessions');
    const all = new Map<string, TracedEvent[]>();
    for (const { session_id: sid } of sessions) all.set(sid, await this.events(encodeURIComponent(sid)));
    return all;
  }

  async nodes(sid: string): Promise<TracedNode[]> {
    return (await this.get<{ nodes: TracedNode[] }>(`/v1/sessions/${sid}/provenance`)).nodes;
  }

  private async get<T>(path: string): Promise<T> {
    const manner = this.manner;
    this.manner = () => false;
    try {
      return (await (await fetch(this.url + path)).json()) as T;
    } finally {
      this.manner = manner;
      this.requests.splice(this.requests.lastIndexOf(`GET ${path}`), 1);
    }
  }
}

export const answers =
  (status: number, body = '', headers: Record<string, string> = {}): TraceManner =>
  (request, response) => {
    request.resume();
    response.writeHead(status, headers).end(body);
    return true;
  };

/** The events that came, each the first time it came: every stream must be in its order from `seq` 1 on. */
export function expectInOrder(events: Iterable<TracedEvent[]>): void {
  for (const list of events) {
    const seen = new Set<string>();
    const seqs = new Map<string, number>();
    for (const { data } of list) {
      if (seen.has(data.event_id)) continue;
      seen.add(data.event_id);
      expect(data.seq).toBeGreaterThan(seqs.get(data.stream) ?? 0);
      seqs.set(data.stream, data.seq);
    }
  }
}
