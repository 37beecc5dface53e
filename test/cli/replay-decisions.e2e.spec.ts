import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replayCommand } from '../../src/cli/replay.cli.js';
import { runHere } from '../support/command.js';
import { type MessagesApi, type ModelManner, startMessagesApi } from '../support/messages-api.js';
import { running, until } from '../support/orchestrator.js';
import { agentsFile, describeEachPlace, EXAMPLE, type Place, scratchDirectory } from '../support/place.js';
import type { Outcome } from '../support/process.js';

const FICKLE = { module: join(__dirname, '../support/agents/fickle.js') };

/** A model that chooses. */
const chooses =
  (agent_id: string, capability: string): ModelManner =>
  (response, { body: { model } }) => {
    const input = { agent_id, capability, parameters: {}, confidence: 0.95, reasoning: 'it fits', alternatives: [], secondary_agents: [] };
    const content = [{ type: 'tool_use', id: 'tool_1', name: 'choose', input }];
    const usage = { input_tokens: 10, output_tokens: 5 };
    const said = { id: 'msg_1', type: 'message', role: 'assistant', model, content, stop_reason: 'tool_use', stop_sequence: null, usage };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said));
  };

describeEachPlace('agent-orchestrator replay decisions', (make) => {
  let place: Place;
  let model: MessagesApi;
  let directory: string;
  const settings = () => ({ ANTHROPIC_API_KEY: 'secret', ANTHROPIC_BASE_URL: model.url });
  const app = running(
    async () => {
      place = await make();
      model = await startMessagesApi();
      return place;
    },
    async () => ({ AGENTS_FILE: await agentsFile([EXAMPLE, FICKLE]), ...settings() }),
  );
  const decisions = (args: string[], env = {}): Promise<Outcome> =>
    runHere(replayCommand, ['decisions', ...args], { ...place.settings, ...env });
  const file = async (name: string, content: object) => {
    await writeFile(join(directory, name), JSON.stringify(content));
    return join(directory, name);
  };

  beforeAll(async () => {
    directory = await scratchDirectory();
    await app.orchestrate({ session_id: 'first', capability: 'echo', parameters: { text: 'x' } });
    await app.orchestrate({ session_id: 'first', agent_id: 'fickle', capability: 'counts' });
    await app.orchestrate({ session_id: 'first', capability: 'sings' });
    model.next(chooses('fickle', 'once'));
    await app.orchestrate({ session_id: 'second', message: 'qwertz asdfgh' });
  });
  afterAll(() => model.close());

  it('are the same today, the model’s too, without asking it again', async () => {
    const asked = model.asked.length;
    const { code, stdout, stderr } = await decisions([]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Source: valid, \d+ events verified\n/);
    expect(stdout).toMatch(/^then +\[1\] +\[2\] +\[3\] +\[4\] {2}now\n/m);
    expect(stdout).toMatch(/^ \[1\] \S.* 1 +· +· +·\n/m);
    expect(stdout).toMatch(/\n4 requests: 4 the same, 0 changed\n$/);
    expect((await decisions(['--agents-of-then', '--session', 'first'])).stdout).toMatch(/\n3 requests: 3 the same, 0 changed\n$/);
    expect(model.asked).toHaveLength(asked);
  });

  it('change with the agents, and say from whom to whom and why', async () => {
    const { agents } = (await app.get('/v1/agents')).body;
    const others = await file('agents.json', { agents: agents.filter((one: { agent_id: string }) => one.agent_id === 'fickle') });
    const { code, stdout } = await decisions(['--agents', others]);
    expect(code).toBe(3);
    expect(stdout).toMatch(
      /seq 1 {2}asked \{"capability":"echo"\}\n {2}then {2}agent_example_001 got it as echo: the caller named the capability\.\n(.*\n)* {2}now {3}Nobody got it: no agent offers the capability "echo"/,
    );
    const told = JSON.parse((await decisions(['--agents', others, '--json'])).stdout);
    expect(told).toMatchObject({ requests: 4, same: 3, changed_total: 1, exit_code: 3, changed: [{ seq: 1, is: { agent_id: null } }] });
    expect(told.confusion).toContainEqual({ was: 'agent_example_001 as echo', is: 'nobody', n: 1 });
  });

  it('are those of then among the agents of then, whoever has been stopped since', async () => {
    await app.post('/v1/agents/fickle/stop').expect(200);
    const now = await decisions(['--session', 'first']);
    expect([now.code, now.stdout]).toEqual([
      3,
      expect.stringMatching(/ {2}now {3}Nobody got it: agent "fickle" is stopped\.\n(.*\n)*3 requests: 2 the same, 1 changed\n/),
    ]);
    expect(await decisions(['--session', 'first', '--agents-of-then'])).toMatchObject({ code: 0 });
    await app.post('/v1/agents/fickle/start').expect(200);
    await until('the registry knows', async () => (await decisions(['--session', 'first'])).code === 0);
  });

  it('change with the rules', async () => {
    const rules = await file('routing.json', { rules: [{ capability: 'uppercase', keywords: { qwertz: 0.99 } }] });
    const { code, stdout } = await decisions(['--routing', rules, '--no-verify']);
    expect([code, stdout]).toEqual([
      3,
      expect.stringMatching(/not verified(.*\n)*.* {2}now {3}agent_example_001 got it as uppercase: a rule of the operator/),
    ]);
  });

  it('change with the model, which is asked no more often than it may be', async () => {
    model.next(chooses('agent_example_001', 'echo'));
    const asked = model.asked.length;
    const { code, stdout } = await decisions(['--model', 'other-model', '--json'], settings());
    expect([code, JSON.parse(stdout)]).toEqual([3, expect.objectContaining({ questions: 1, changed_total: 1, same: 3 })]);
    expect(JSON.parse(stdout).changed[0].is).toMatchObject({ agent_id: 'agent_example_001', evidence: { llm: { model: 'other-model' } } });
    expect(model.asked.slice(asked).map(({ body }) => body.model)).toEqual(['other-model']);
    const capped = await decisions(['--model', 'other-model', '--max', '0'], settings());
    expect([capped.code, capped.stdout]).toEqual([4, expect.stringContaining('1 skipped: it is beyond 0 questions to the model (--max)')]);
    expect(await decisions(['--model', 'other-model'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('set ANTHROPIC_API_KEY'),
    });
  });

  it('are looked at from a time on, and nothing is before it', async () => {
    const later = new Date(Date.now() + 60_000).toISOString();
    expect((await decisions(['--since', later])).stdout).toMatch(/\n0 requests: 0 the same, 0 changed\n$/);
    expect((await decisions(['--since', '2026-01-01T00:00:00Z'])).stdout).toMatch(/\n4 requests: 4 the same/);
    expect(await decisions(['--since', '12'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--since must be an ISO 8601 time'),
    });
    expect((await decisions(['--session', 'nobody'])).code).toBe(5);
  });

  it('are refused with files that are none', async () => {
    const modules = await file('modules.json', { agents: [{ module: 'x.js' }] });
    expect(await decisions(['--agents', modules])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it must be what GET /v1/agents answers'),
    });
    expect(await decisions(['--agents', 'none.json'])).toMatchObject({ code: 1, stderr: expect.stringContaining('ENOENT') });
    expect(await decisions(['--routing', 'none.json'])).toMatchObject({ code: 1, stderr: expect.stringContaining('none.json') });
    expect((await decisions(['--agents', modules, '--agents-of-then'])).code).toBe(1);
  });
});
