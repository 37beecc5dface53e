import { fileURLToPath } from 'node:url';
import { PROTOCOLS } from '../../src/agents/agent-protocol.js';
import { Outgoing } from '../../src/integration/agents/outgoing.client.js';
import { Protocols } from '../../src/integration/agents/protocols.client.js';
import { type DescribingAgent, startDescribing } from '../support/describing-agent.js';
import { running } from '../support/orchestrator.js';
import { agentsFile, anyPlace } from '../support/place.js';

const EXAMPLE = fileURLToPath(new URL('../../data/example-agent.js', import.meta.url));

describe('a protocol the caller prefers', () => {
  let remote: DescribingAgent;
  const ao = running(anyPlace, async () => {
    remote = await startDescribing({ '/execute': { success: true, data: { message: 'from afar' } } });
    const there = { agent_id: 'there', name: 'There', endpoint: remote.url, capabilities: [{ name: 'echo' }] };
    return { AGENTS_FILE: await agentsFile([there, { module: EXAMPLE }]) };
  });
  afterAll(() => remote.close());

  const task = { session_id: 's', capability: 'echo', parameters: { text: 'hello' } };

  it.each([
    ['http', 'there'],
    ['in-process', 'agent_example_001'],
  ])('%s goes to %s every time; it is on the record, and explained', async (preferred_protocol, agent_id) => {
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await ao.orchestrate({ ...task, preferred_protocol }));
    expect(answers.map((answer) => answer.agent_id)).toEqual([agent_id, agent_id, agent_id, agent_id]);
    const { body } = await ao.get(`/v1/contracts/${answers[0]!.contract_id}/explain`).expect(200);
    expect(body).toMatchObject({ asked: { capability: 'echo', preferred_protocol }, routing: { preferred_protocol } });
    expect(body.explanation).toContain(`the caller preferred who speaks ${preferred_protocol}`);
    const { body: ranked } = await ao.post('/v1/route', { capability: 'echo', parameters: { text: 'hello' }, preferred_protocol });
    expect(ranked.ranked[0]).toEqual({ agent_id, capability: 'echo' });
  });

  it('that nobody speaks leaves the choice as it was', async () => {
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push((await ao.orchestrate({ ...task, preferred_protocol: 'a2a' })).agent_id);
    expect(answers.sort()).toEqual(['agent_example_001', 'agent_example_001', 'there', 'there']);
  });

  it('is of each step in a plan', async () => {
    const step = { capability: 'echo', parameters: { text: 'hello' } };
    const steps = [
      { ...step, preferred_protocol: 'http' },
      { ...step, preferred_protocol: 'in-process' },
      { ...step, preferred_protocol: 'http' },
    ];
    const { data } = await ao.orchestrate({ session_id: 's', plan: { mode: 'parallel', steps } });
    const messages = (data as { individual_results: { result: { message: string } }[] }).individual_results.map(
      ({ result }) => result.message,
    );
    expect(messages).toEqual(['from afar', 'Echo: hello', 'from afar']);
    const refused = await ao.post('/v1/orchestrate', { session_id: 's', preferred_protocol: 'http', plan: { mode: 'parallel', steps } });
    expect([refused.status, refused.body.errors.map((e: { field: string }) => e.field)]).toEqual([400, ['preferred_protocol']]);
  });

  it('must be one there is', async () => {
    const { status, body } = await ao.post('/v1/orchestrate', { ...task, preferred_protocol: 'soap' });
    expect([status, body.errors.map((e: { field: string }) => e.field)]).toEqual([400, ['preferred_protocol']]);
  });
});

it('every protocol this process speaks is one of those', async () => {
  const outgoing = new Outgoing(['loopback']);
  const spoken = new Protocols(outgoing).all.map(({ name }) => name);
  expect(spoken.filter((name) => !(PROTOCOLS as readonly string[]).includes(name))).toEqual([]);
  await outgoing.close();
});
