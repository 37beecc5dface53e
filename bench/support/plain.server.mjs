/**
 * What people write without us: a Fastify server that passes the task on to the agent. With `database` it also keeps the naive record: one
 * committed row before the call and one after it, nothing chained, nothing idempotent, nothing recovered.
 */
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import pg from 'pg';
import { Pool } from 'undici';

const require = createRequire(import.meta.url);
const { fastify } = createRequire(require.resolve('@nestjs/platform-fastify'))('fastify');

const { agent, database } = JSON.parse(process.argv[2]);
const agents = new Pool(agent, { connections: 128, pipelining: 1 });

const TABLE = `CREATE TABLE message (
  id text PRIMARY KEY, session_id text NOT NULL, kind text NOT NULL, in_reply_to text, agent text NOT NULL, capability text NOT NULL,
  status text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), payload jsonb NOT NULL)`;
const INSERT = {
  name: 'message',
  text: 'INSERT INTO message (id, session_id, kind, in_reply_to, agent, capability, status, payload) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)',
};

let db;
if (database) {
  db = new pg.Pool({ connectionString: database, max: 10, idleTimeoutMillis: 0 });
  await db.query(TABLE);
  await db.query('CREATE INDEX message_session ON message (session_id, created_at)');
}
const record = (values) => db?.query({ ...INSERT, values });

async function call(task) {
  const { statusCode, body } = await agents.request({
    method: 'POST',
    path: '/execute',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(task),
  });
  const answer = await body.json();
  if (statusCode !== 200 || answer.success !== true) throw new Error(`the agent answered HTTP ${statusCode}`);
  return answer.data;
}

const schema = {
  body: {
    type: 'object',
    required: ['session_id', 'capability'],
    properties: {
      session_id: { type: 'string' },
      capability: { type: 'string' },
      parameters: { type: 'object' },
      context: { type: 'object' },
    },
  },
};

const app = fastify();
app.post('/v1/orchestrate', { schema }, async ({ body }) => {
  const { session_id, capability, parameters = {}, context = {} } = body;
  const id = randomUUID();
  await record([
    id,
    session_id,
    'REQUEST',
    null,
    'bench-agent',
    capability,
    'pending',
    JSON.stringify({ capability, parameters, context }),
  ]);
  const data = await call({ task_id: id, capability, parameters, context });
  await record([randomUUID(), session_id, 'RESPONSE', id, 'bench-agent', capability, 'completed', JSON.stringify({ result: data })]);
  return { success: true, data, error: null, contract_id: id, agent_id: 'bench-agent', timestamp: new Date().toISOString() };
});
process.send({ url: await app.listen({ port: 0, host: '127.0.0.1' }) });
