/** Twenty agents over HTTP, most of them in trouble of some kind, and what they were asked to do. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Trouble = 'none' | 'breaks' | 'busy' | 'hangs' | 'flaps' | 'away';

/** How many of each; `away` are there again after `recover`. */
const TROUBLES: Record<Trouble, number> = { none: 8, breaks: 3, busy: 2, hangs: 2, flaps: 3, away: 2 };
const FLAP_MS = 400;
/** Only agents without trouble do this; all do the others. */
export const CALM = 'calm';
export const LOOK_UP = 'look-up';
export const BOOK = 'book';

export interface Asked {
  readonly agent: string;
  readonly capability: string;
  readonly contract: string;
  readonly n: number;
}

export interface TroubledAgents {
  /** Entries of an agents file. */
  readonly entries: object[];
  /** Every call that reached an agent, in their order. */
  readonly asked: Asked[];
  /** From now on there is trouble; before, all of them are well. */
  begin(): Promise<void>;
  /** Everybody is well again. */
  recover(): Promise<void>;
  close(): Promise<void>;
}

const answers = (response: ServerResponse, status: number, body: object, headers = {}) =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

const GOOD = { success: true, data: 'done' };

function act(trouble: Trouble, response: ServerResponse): void {
  const flapped = trouble === 'flaps' && Math.floor(Date.now() / FLAP_MS) % 2 === 0;
  if (trouble === 'breaks' || flapped) answers(response, 500, {});
  else if (trouble === 'busy') answers(response, 429, {});
  else if (trouble !== 'hangs') answers(response, 200, GOOD);
}

export async function startTroubled(): Promise<TroubledAgents> {
  const asked: Asked[] = [];
  let trouble = false;
  const agents = Object.entries(TROUBLES).flatMap(([kind, n]) =>
    Array.from({ length: n }, (_, i) => ({ id: `${kind}-${i}`, kind: kind as Trouble, server: null as Server | null, port: 0 })),
  );
  const listen = async (agent: (typeof agents)[number]) => {
    agent.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.method === 'GET') return answers(response, 200, {}); // its health
        const task = JSON.parse(Buffer.concat(chunks).toString()) as { task_id: string; capability: string; parameters: { n: number } };
        asked.push({ agent: agent.id, capability: task.capability, contract: task.task_id, n: task.parameters.n });
        act(trouble ? agent.kind : 'none', response);
      });
    });
    await new Promise<void>((listening) => agent.server!.listen(agent.port, '127.0.0.1', listening));
    agent.port = (agent.server.address() as AddressInfo).port;
  };
  const leave = ({ server }: (typeof agents)[number]) =>
    new Promise<void>((closed) => {
      server!.close(() => closed());
      server!.closeAllConnections();
    });
  await Promise.all(agents.map(listen));
  const entries = agents.map(({ id, kind, port }) => ({
    ...{ agent_id: id, name: id, protocol: 'http', endpoint: `http://127.0.0.1:${port}` },
    capabilities: [{ name: LOOK_UP, idempotent: true }, { name: BOOK }, ...(kind === 'none' ? [{ name: CALM }] : [])],
  }));
  const away = agents.filter(({ kind }) => kind === 'away');
  return {
    entries,
    asked,
    begin: async () => {
      trouble = true;
      await Promise.all(away.map(leave));
    },
    recover: async () => {
      trouble = false;
      await Promise.all(away.map(listen));
    },
    close: () => Promise.all(agents.map(leave)).then(() => undefined),
  };
}
