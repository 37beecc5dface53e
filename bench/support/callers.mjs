/** The same call to each example agent: through our adapter, and as people would write it with the protocol's SDK, or with undici where there is none. */
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { SendMessageRequest } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { Client as McpClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Pool } from 'undici';

// Its ES module imports JSON in a way that Node 20 does not take.
const { Client: AcpClient } = createRequire(import.meta.url)('acp-sdk');

const text = 'Ada';

/** `bare(url)` resolves with a function that calls once, and with how to end. */
export const CALLERS = {
  http: {
    example: 'http-greeter',
    capability: 'greet',
    parameters: { name: text },
    with: 'undici',
    bare: (url) => posting(url, '/execute', { task_id: randomUUID(), capability: 'greet', parameters: { name: text }, context: {} }),
  },
  a2a: {
    example: 'a2a-math',
    capability: 'add',
    parameters: { a: 1, b: 2 },
    with: '@a2a-js/sdk',
    async bare(url) {
      const client = await new ClientFactory().createFromUrl(url);
      const parts = [{ data: { a: 1, b: 2 }, mediaType: 'application/json' }];
      const call = async () => {
        const message = { messageId: randomUUID(), role: 'ROLE_USER', parts, metadata: { skill: 'add' } };
        for await (const event of client.sendMessageStream(SendMessageRequest.fromJSON({ message }))) if (event.payload) return;
        throw new Error('no answer');
      };
      return { call, close: () => undefined };
    },
  },
  'acp-agntcy': {
    example: 'acp-agntcy-math',
    capability: 'example.math',
    parameters: { operation: 'add', a: 1, b: 2 },
    with: 'undici',
    bare: (url) => posting(url, '/runs/wait', { input: { operation: 'add', a: 1, b: 2 } }),
  },
  'acp-beeai': {
    example: 'acp-beeai-greeter',
    capability: 'greeter',
    parameters: { text },
    with: 'acp-sdk',
    async bare(url) {
      const client = new AcpClient({ baseUrl: url });
      const call = async () => {
        let last;
        for await (const event of client.runStream('greeter', text)) last = event.type;
        if (last !== 'run.completed') throw new Error(`the last event was ${last}`);
      };
      return { call, close: () => undefined };
    },
  },
  'acp-invoke': {
    example: 'acp-invoke-greeter',
    capability: 'generate_greeting',
    parameters: { name: text },
    with: 'undici',
    bare: (url) => posting(url, '/invoke', { input: { name: text } }),
  },
  mcp: {
    example: 'mcp-math',
    capability: 'add',
    parameters: { a: 1, b: 2 },
    with: '@modelcontextprotocol/client',
    async bare(url) {
      const client = new McpClient({ name: 'bench', version: '1' }, { versionNegotiation: { mode: 'auto' } });
      await client.connect(new StreamableHTTPClientTransport(new URL(url)));
      const call = async () => {
        const { isError } = await client.callTool({ name: 'add', arguments: { a: 1, b: 2 } });
        if (isError) throw new Error('the tool failed');
      };
      return { call, close: () => client.close() };
    },
  },
};

async function posting(url, path, body) {
  const pool = new Pool(url, { connections: 128, pipelining: 1 });
  const request = { method: 'POST', path, headers: { 'content-type': 'application/json' } };
  const call = async () => {
    const answer = await pool.request({ ...request, body: JSON.stringify(body) });
    await answer.body.json();
    if (answer.statusCode !== 200) throw new Error(`HTTP ${answer.statusCode}`);
  };
  return { call, close: () => pool.close() };
}
