/** Agents of our own two forms, plain HTTP and in this process, held to what every agent must do. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, type AgentAnswer, type Task } from '../../../src/agents/agent.js';
import { HttpClient } from '../../../src/integration/agents/http.client.js';
import { InProcessClient } from '../../../src/integration/agents/in-process.client.js';
import { agentPortSuite, type PortPeer, type SkillName } from '../agent-port.suite.js';

const says =
  (body: unknown, after = 0) =>
  (response: ServerResponse) =>
    void setTimeout(() => response.setHeader('content-type', 'application/json').end(JSON.stringify(body)), after);

const MANNERS: Record<Exclude<SkillName, 'progress'>, (response: ServerResponse, task: Task) => void> = {
  echo: (response, { parameters }) => says({ success: true, data: parameters })(response),
  slow: says({ success: true, data: { slow: true } }, 500),
  hang: () => undefined,
  fail: says({ success: false, error: 'no such planet' }),
  words: says({ success: true, data: 'Error: out of cheese' }),
  huge: says({ success: true, data: 'x'.repeat(5 * 1024 * 1024) }),
  garbage: (response) => response.setHeader('content-type', 'text/html').end('<h1>It works!</h1>'),
  half: (response) => {
    response.setHeader('content-length', '99').write('{"success": tr');
    setTimeout(() => response.destroy(), 50);
  },
};

async function startHttp(): Promise<PortPeer> {
  const heard: string[] = [];
  const abandoned: string[] = [];
  const listen = async (port = 0) => {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('error', () => undefined);
      request.on('end', () => {
        if (request.url === '/health') return void response.end();
        const task = JSON.parse(Buffer.concat(chunks).toString()) as Task;
        heard.push(task.task_id);
        response.on('close', () => response.writableFinished || abandoned.push(task.task_id));
        MANNERS[task.capability as keyof typeof MANNERS](response, task);
      });
    });
    await new Promise<void>((ready) => server.listen(port, '127.0.0.1', ready));
    return server;
  };
  let server = await listen();
  const { port } = server.address() as AddressInfo;
  const stop = () => new Promise<void>((done) => void server.close(() => done()).closeAllConnections());
  return {
    client: new HttpClient(`http://127.0.0.1:${port}`),
    cancelled: () => abandoned,
    lastId: () => heard.at(-1),
    stop,
    start: async () => {
      server = await listen(port);
    },
    close: stop,
  };
}
agentPortSuite('over plain HTTP', startHttp, ['progress']);

class Plain extends Agent {
  description = { agent_id: 'plain', name: 'Plain', capabilities: [{ name: 'echo' }] };
  readonly heard: string[] = [];
  readonly cancelled: string[] = [];

  async execute({ task_id, capability, parameters }: Task, { signal }: { signal: AbortSignal }): Promise<AgentAnswer> {
    this.heard.push(task_id);
    signal.addEventListener('abort', () => this.cancelled.push(task_id));
    if (capability === 'fail') return { success: false, error: 'no such planet' };
    if (capability === 'words') return { success: true, data: 'Error: out of cheese' };
    if (capability === 'huge') return { success: true, data: 'x'.repeat(5 * 1024 * 1024) };
    if (capability === 'garbage') return { success: true, data: 1n };
    if (capability === 'hang') signal.throwIfAborted();
    if (capability === 'hang') await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))));
    if (capability === 'slow') await new Promise((after) => setTimeout(after, 500));
    return { success: true, data: capability === 'slow' ? { slow: true } : parameters };
  }
}

async function startInProcess(): Promise<PortPeer> {
  const agent = new Plain();
  return {
    client: new InProcessClient(agent),
    cancelled: () => agent.cancelled,
    lastId: () => agent.heard.at(-1),
    close: async () => undefined,
  };
}
agentPortSuite('in this process', startInProcess, ['half', 'progress', 'restart', 'close']);
