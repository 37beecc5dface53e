import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type McpPeer, PEER, startMcp } from '../support/mcp.js';
import { running, until } from '../support/orchestrator.js';
import { agentsFile, anyPlace, scratchDirectory } from '../support/place.js';

describe('MCP servers as agents', () => {
  let peer: McpPeer;
  let heard: string;
  const orchestrator = running(anyPlace, async () => {
    peer = await startMcp('v2-http');
    heard = join(await scratchDirectory(), 'heard');
    const local = { protocol: 'mcp', agent_id: 'local', command: process.execPath, args: [PEER, 'v1-stdio'], env: { PEER_LOG: heard } };
    const gone = { protocol: 'mcp', agent_id: 'gone', endpoint: 'http://127.0.0.1:2/mcp' };
    return { AGENTS_FILE: await agentsFile([{ protocol: 'mcp', agent_id: 'remote', endpoint: peer.url }, local, gone]) };
  });
  afterAll(() => peer?.close());

  const ask = (agent_id: string, capability: string, parameters = {}, more = {}) =>
    orchestrator.orchestrate({ session_id: 'mcp', agent_id, capability, parameters, ...more });

  it('are served with the tools they told at start; one that could not be asked is left out', async () => {
    const { body } = await orchestrator.get('/v1/agents');
    expect(body.agents.map((agent: { agent_id: string; protocol: string }) => [agent.agent_id, agent.protocol])).toEqual([
      ['remote', 'mcp'],
      ['local', 'mcp'],
    ]);
  });

  it.each(['remote', 'local'])('are called over their own protocol and recorded (%s)', async (agent) => {
    const answer = await ask(agent, 'add', { a: 2, b: 3 });
    expect(answer).toMatchObject({ success: true, data: { sum: 5 }, agent_id: agent });
    const { body } = await orchestrator.get(`/v1/contracts/${answer.contract_id}`);
    expect(JSON.stringify(body)).toContain('"sum":5');
  });

  it.each(['remote', 'local'])('are held to the schemas of their tools (%s)', async (agent) => {
    expect(await ask(agent, 'add', { a: 2 })).toMatchObject({ success: false, error_code: 'invalid_input' });
  });

  it.each(['remote', 'local'])('fail in their own words (%s)', async (agent) => {
    expect(await ask(agent, 'fail')).toMatchObject({ success: false, error_code: 'agent_failed', error: 'no such planet' });
  });

  it.each(['remote', 'local'])('learn that their time is over (%s)', async (agent) => {
    const answer = await ask(agent, 'hang', {}, { timeout_seconds: 0.5 });
    expect(answer).toMatchObject({ success: false, error_code: 'agent_timeout' });
    const all = () => JSON.stringify(peer.heard()) + readFileSync(heard, 'utf8');
    await until('the tool knows', () => all().includes(`"cancelled":"${answer.contract_id}"`));
  });
});
