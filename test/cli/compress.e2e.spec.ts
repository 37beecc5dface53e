import { contractsIn, counts, fails, good, type MessagesApi, startMessagesApi } from '../support/messages-api.js';
import { running } from '../support/orchestrator.js';
import { says, startPeer } from '../support/peer.js';
import { anyPlace } from '../support/place.js';
import { endAll, type Outcome, runCommand } from '../support/process.js';

afterAll(endAll);

describe('agent-orchestrator compress', () => {
  let api: MessagesApi;
  const app = running(anyPlace, async () => {
    api = await startMessagesApi();
    return { ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: api.url, ANTHROPIC_MAX_INPUT_TOKENS: '1000' };
  });
  beforeEach(() => {
    api.next(good);
    api.count = counts(() => 1);
  });
  afterAll(() => api?.close());
  const compress = (...args: string[]): Promise<Outcome> =>
    runCommand(['compress', ...args], { env: { ORCHESTRATOR_URL: app.server.url } });
  const echo = (session_id: string, text: string) => app.orchestrate({ session_id, capability: 'echo', parameters: { text } });

  it('shows the block with its citations, how it was made, and how much it covers; exit 0', async () => {
    const { contract_id } = await echo('told', 'hi');
    const { code, stdout, stderr } = await compress('told');
    expect([code, stderr]).toEqual([0, 'reading the record\ncounting tokens\nsummarising\nrecording the block\n']);
    expect(stdout).toContain(
      `Summary\n  Something was asked and answered. [${contract_id}]\nFacts\n  The caller greeted. [${contract_id}]\n`,
    );
    expect(stdout).toMatch(
      /new block \w{26}, by claude-sonnet-5-5, of seq 1 to 2\ncovers 100 % of its contracts; 180 tokens in, 20 out\n$/,
    );
    expect((await compress('told')).stdout).toContain('nothing new, block');
  });

  it('tells on stderr how far it is with a session in parts', async () => {
    await echo('parts', 'a');
    await echo('parts', 'b');
    api.count = counts((asked) => (contractsIn(asked).length > 1 ? 1001 : 1));
    const { stderr } = await compress('parts');
    expect(stderr).toContain('summarising (1 of 2)\nsummarising (2 of 2)\n');
    expect(stderr).toContain('merging the parts');
  });

  it('prints the whole answer with --json', async () => {
    await echo('json', 'hi');
    const { stdout } = await compress('json', '--json', '--intent', 'to hand over');
    expect(JSON.parse(stdout)).toMatchObject({ status: 'ok', created: true, memory_block: { session_id: 'json', intent: 'to hand over' } });
  });

  it('says why it could only extract, and fails with --require-llm; exit 1', async () => {
    await echo('down', 'hi\u001b[2J');
    api.next(fails(401, 'authentication_error'));
    const { code, stdout } = await compress('down');
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/extracted, of seq 1 to 2\n.*\nthe language model cannot be had: it answered HTTP 401/),
    ]);
    expect(stdout).not.toContain('\u001b');
    const strict = await compress('down', '--require-llm');
    expect(strict).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('HTTP 401') });
  });

  it('says that there is no such session; exit 5', async () => {
    const { code, stderr } = await compress('nobody knows');
    expect([code, stderr]).toEqual([5, expect.stringContaining('there is no session "nobody knows"')]);
  });

  it('is not taken in by a server that is no orchestrator; exit 1', async () => {
    const peer = await startPeer({ undefined: says('event: done\ndata: {"hello":1}\n\n') });
    const { code, stderr } = await runCommand(['compress', 'x'], { env: { ORCHESTRATOR_URL: peer.url } });
    expect([code, stderr]).toEqual([1, expect.stringContaining('try again')]);
    await peer.close();
  });
});
