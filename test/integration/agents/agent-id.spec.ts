import { describe as describedByAcp } from '../../../src/integration/agents/acp/described.js';
import { agentIdFrom } from '../../../src/integration/agents/agent-id.js';
import { idFor } from '../../../src/integration/agents/mcp/tools.js';

describe('what a stranger calls itself', () => {
  it.each([
    ['hello-world-agent', 'hello-world-agent'],
    ['Hello World Agent!', 'hello-world-agent'],
    ['  ../etc/passwd', 'etc-passwd'],
    ['-._', ''],
    ['数学', ''],
    ['x'.repeat(80), 'x'.repeat(64)],
  ])('%j becomes the id %j', (name, id) => {
    expect(agentIdFrom(name)).toBe(id);
  });

  it.each<[string, (text: string) => unknown]>([
    ['an id', agentIdFrom],
    ['the id of an ACP agent', (id) => describedByAcp({ id, name: 'a', description: '', capabilities: [{ name: 'c', description: '' }] })],
    ['a capability of it', (name) => describedByAcp({ id: 'a', name: 'a', description: '', capabilities: [{ name, description: '' }] })],
    [
      'its version',
      (version) => describedByAcp({ id: 'a', name: 'a', description: '', version, capabilities: [{ name: 'c', description: '' }] }),
    ],
    ['the name of an MCP server', (name) => idFor(name, 'http://127.0.0.1/mcp')],
  ])('holds nobody up, however long %s is', (_what, read) => {
    const from = performance.now();
    read(`a${'-'.repeat(200_000)}b`);
    expect(performance.now() - from).toBeLessThan(5000);
  });
});
