/** Clients that ask for work as fast as they are answered, and remember what they were told. */
import { Pool } from 'undici';
import type { Answer, Body } from './orchestrator.js';

const CLIENTS = 16;
/** Per client: more than any of them can get done before it is over. */
const MOST = 2000;

export interface Sent {
  readonly body: Body;
  readonly key: string | undefined;
}

export interface Load {
  /** What was answered 200: it may never be lost again. */
  readonly acknowledged: (Sent & { answer: Answer })[];
  /** What the broken connection left open: both outcomes are right, but only one of them and only once. */
  readonly unanswered: Sent[];
  /** Answers that should not have come. */
  readonly odd: unknown[];
  /** Resolves when the first answer is here. */
  readonly begun: Promise<void>;
  /** When every client has met a broken connection, or done all of its work. */
  readonly over: Promise<void>;
}

/** Three hot sessions and many cold ones; quick, slow, failing and impossible work; every third request with an Idempotency-Key. */
function work(name: string, client: number, i: number): Sent {
  const session_id = i % 2 === 0 ? `${name} hot ${client % 3}` : `${name} cold ${client} ${i}`;
  const capability = ['mirrors', 'sleeps', 'mirrors', 'refuses', 'sleeps', 'mirrors', 'nobody-offers-this'][i % 7]!;
  return { body: { session_id, capability, parameters: { client, i, ms: 4 } }, key: i % 3 === 1 ? `${name} ${client} ${i}` : undefined };
}

export function startLoad(url: string, name: string): Load {
  const pool = new Pool(url, { connections: CLIENTS });
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const load = { acknowledged: [] as Load['acknowledged'], unanswered: [] as Sent[], odd: [] as unknown[] };
  const client = async (_: unknown, number: number) => {
    for (let i = 0; i < MOST; i++) {
      const sent = work(name, number, i);
      const told = await send(pool, sent).catch(() => undefined);
      if (!told) return void load.unanswered.push(sent);
      if (told.status === 200) load.acknowledged.push({ ...sent, answer: told.body as Answer });
      else load.odd.push(told);
      begin();
    }
  };
  const over = Promise.all(Array.from({ length: CLIENTS }, client)).then(() => pool.destroy());
  return { ...load, begun, over };
}

/** Rejects when the connection breaks before the whole answer is here. */
export async function send(pool: Pool, { body, key }: Sent): Promise<{ status: number; body: unknown }> {
  const answer = await pool.request({
    method: 'POST',
    path: '/v1/orchestrate',
    headers: { 'content-type': 'application/json', ...(key !== undefined && { 'idempotency-key': key }) },
    body: JSON.stringify(body),
  });
  return { status: answer.statusCode, body: await answer.body.json() };
}
