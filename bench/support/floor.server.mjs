/**
 * What nobody who builds this record on these packages goes below: a NestJS controller with a body checked by zod and a CQRS command, the rows of both
 * contracts hashed, sealed and written by one plain INSERT for all who wait, and nothing else. No chain, no stream, no key, no routing, no guard, no order.
 */
import 'reflect-metadata';
import { createCipheriv, createHash, randomBytes, randomUUID } from 'node:crypto';
import { Body, Controller, HttpCode, Inject, Module, Post, StandardSchemaValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Command, CommandBus, CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import pg from 'pg';
import { Pool } from 'undici';
import { z } from 'zod';
import { INSERT_PLAIN, PLAIN_TABLES } from './appending.mjs';

const { agent, database } = JSON.parse(process.argv[2]);
const agents = new Pool(agent, { connections: 128, pipelining: 1 });
const db = new pg.Pool({ connectionString: database, max: 10, idleTimeoutMillis: 0 });
for (const sql of PLAIN_TABLES) await db.query(sql);
await db.query('SET jit = off');

const DATA_KEY = randomBytes(32);
const json = z.record(z.string(), z.unknown());
const Task = z.strictObject({
  session_id: z.string().max(255),
  capability: z.string().max(255),
  parameters: json.optional(),
  context: json.optional(),
});

class Orchestrate extends Command {
  constructor(body) {
    super();
    this.body = body;
  }
}

function seal(text) {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', DATA_KEY, nonce);
  const sealed = cipher.update(text, 'utf8');
  cipher.final();
  return Buffer.concat([nonce, sealed, cipher.getAuthTag()]);
}

/** One row of `plain_event`, and one of `plain_payload` for each disclosure. */
function event(type, members, disclosures) {
  const id = randomUUID();
  const time = new Date().toISOString();
  const disclosed = Object.entries(disclosures).map(([name, value]) => [name, JSON.stringify([randomUUID(), name, value])]);
  const digests = disclosed.map(([, text]) => createHash('sha256').update(text).digest('hex'));
  const record = Buffer.from(JSON.stringify({ v: 1, id, type, time, ...members, _sd_alg: 'sha-256', _sd: digests }));
  const hash = createHash('sha256').update(record).digest();
  const { stream, seq, task, cause, in_reply_to, from, to, capability, status } = members;
  return {
    row: [id, stream, seq, type, time, task, cause, in_reply_to, from, to, capability, status, null, record, hash],
    payload: disclosed.map(([name, text]) => [id, name, seal(text)]),
  };
}

let waiting = [];
let busy = false;

function record(entry) {
  const written = new Promise((done, failed) => waiting.push({ entry, done, failed }));
  if (!busy) void writeAll();
  return written;
}

async function writeAll() {
  busy = true;
  while (waiting.length > 0) {
    await new Promise(setImmediate);
    const batch = waiting;
    waiting = [];
    const rows = batch.map(({ entry }) => entry.row);
    const payload = batch.flatMap(({ entry }) => entry.payload);
    const columns = (of) => of[0].map((_, column) => of.map((one) => one[column]));
    const error = await db.query({ ...INSERT_PLAIN, values: [...columns(rows), ...columns(payload)] }).then(
      () => null,
      (failure) => failure,
    );
    for (const { done, failed } of batch) error ? failed(error) : done();
  }
  busy = false;
}

class OrchestrateHandler {
  async execute({ body: { session_id, capability, parameters = {}, context = {} } }) {
    const members = {
      stream: `default/session/${randomUUID()}`,
      seq: 1,
      task: randomUUID(),
      from: 'orchestrator',
      to: 'bench-agent',
      capability,
    };
    const request = event(
      'contract.request',
      { ...members, status: 'pending' },
      { parameters, routing: { method: 'capability', candidates: ['bench-agent'] } },
    );
    await record(request);
    const [id] = request.row;
    const { body } = await agents.request({
      method: 'POST',
      path: '/execute',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ task_id: id, capability, parameters, context, session_id }),
    });
    const { data } = await body.json();
    await record(event('contract.response', { ...members, seq: 2, in_reply_to: id, cause: id, status: 'completed' }, { result: data }));
    return { success: true, data, error: null, contract_id: id, agent_id: 'bench-agent', timestamp: new Date().toISOString() };
  }
}
CommandHandler(Orchestrate)(OrchestrateHandler);

class TasksController {
  constructor(commands) {
    this.commands = commands;
  }
  orchestrate(body) {
    return this.commands.execute(new Orchestrate(body));
  }
}
Inject(CommandBus)(TasksController, undefined, 0);
Body({ schema: Task })(TasksController.prototype, 'orchestrate', 0);
const method = Object.getOwnPropertyDescriptor(TasksController.prototype, 'orchestrate');
HttpCode(200)(TasksController.prototype, 'orchestrate', method);
Post('orchestrate')(TasksController.prototype, 'orchestrate', method);
Controller('v1')(TasksController);

class FloorModule {}
Module({ imports: [CqrsModule.forRoot()], controllers: [TasksController], providers: [OrchestrateHandler] })(FloorModule);

const app = await NestFactory.create(FloorModule, new FastifyAdapter(), { logger: ['error'] });
app.useGlobalPipes(new StandardSchemaValidationPipe());
await app.listen(0, '127.0.0.1');
process.send({ url: await app.getUrl() });
