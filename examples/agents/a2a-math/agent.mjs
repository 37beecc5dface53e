// A math agent over A2A 1.0 and 0.3 (JSON-RPC), written with the protocol's own SDK. See README.md.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { AgentCard, Message, Task } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';

const app = express();
const server = app.listen(Number(process.env.PORT ?? 8002), '127.0.0.1');
await once(server, 'listening');
const url = `http://localhost:${server.address().port}/`;

const two = { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] };
const number = { type: 'object', properties: { result: { type: 'number' } }, required: ['result'] };
const skill = (id, description) => ({ id, name: id, description, tags: ['math'], inputModes: ['application/json'], examples: [] });

const card = AgentCard.fromJSON({
  name: 'Math agent',
  description: 'Adds and divides',
  version: '1.0.0',
  supportedInterfaces: [
    { url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
    { url, protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
  ],
  capabilities: {
    streaming: true,
    // A2A has no schemas for skills. The orchestrator reads them from here.
    extensions: [
      {
        uri: 'urn:agent-orchestrator:a2a-skill-schemas:1',
        params: { skills: { add: { inputSchema: two, outputSchema: number }, divide: { inputSchema: two, outputSchema: number } } },
      },
    ],
  },
  defaultInputModes: ['application/json'],
  defaultOutputModes: ['application/json'],
  skills: [skill('add', 'Adds two numbers'), skill('divide', 'Divides a by b')],
});

const executor = {
  async execute({ taskId, contextId, userMessage }, bus) {
    const { parts, metadata } = Message.toJSON(userMessage);
    const { a, b } = parts.find((part) => part.data)?.data ?? {};
    const answer = (part) => Message.fromJSON({ messageId: randomUUID(), role: 'ROLE_AGENT', contextId, parts: [part] });
    if (metadata?.skill === 'divide' && b === 0) {
      const status = { state: 'TASK_STATE_FAILED', message: Message.toJSON(answer({ text: 'cannot divide by zero' })) };
      bus.publish(AgentEvent.task(Task.fromJSON({ id: taskId, contextId, status })));
    } else {
      bus.publish(AgentEvent.message(answer({ data: { result: metadata?.skill === 'divide' ? a / b : a + b } })));
    }
    bus.finished();
  },
  async cancelTask() {},
};

const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), executor);
const legacyCompat = { enabled: true };
app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: requestHandler, legacyCompat }));
app.use('/', jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication, legacyCompat }));
console.log(`math agent at http://127.0.0.1:${server.address().port}`);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
