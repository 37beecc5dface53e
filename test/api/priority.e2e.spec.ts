import { type DescribingAgent, startDescribing } from '../support/describing-agent.js';
import { running, until } from '../support/orchestrator.js';
import { agentsFile, describeEachPlace } from '../support/place.js';

describeEachPlace('tasks that wait for the same busy agent', (make) => {
  let agent: DescribingAgent;
  const ao = running(make, async () => {
    agent = await startDescribing({ '/execute': { success: true } });
    const busy = { agent_id: 'busy', name: 'Busy', endpoint: agent.url, capabilities: [{ name: 'work' }], max_concurrency: 1 };
    return { AGENTS_FILE: await agentsFile([busy]) };
  });
  afterAll(() => agent.close());

  const waiting = async () => (await ao.get('/v1/status')).body.orchestrator.waiting as number;

  it('are done by priority, and of equals who came first; what was asked is on the record', async () => {
    const release = agent.hold();
    const ask = (more: object) => ao.orchestrate({ session_id: 's', capability: 'work', ...more });
    const tasks = [ask({ intent: 'first' })];
    await until('the agent is busy', () => agent.asked.length === 1);
    const later: [string, number | undefined][] = [
      ['low', undefined],
      ['high', 9],
      ['middle', 5],
      ['high too', 9],
    ];
    for (const [i, [intent, priority]] of later.entries()) {
      tasks.push(ask({ intent, ...(priority !== undefined && { priority }) }));
      await until('it waits', async () => (await waiting()) === i + 1);
    }
    release();
    await Promise.all(tasks);
    const { body } = await ao.get('/v1/contracts?session_id=s&type=REQUEST');
    expect((body.contracts as { metadata: { asked: object } }[]).map(({ metadata }) => metadata.asked)).toEqual([
      { capability: 'work', intent: 'first' },
      { capability: 'work', intent: 'high', priority: 9 },
      { capability: 'work', intent: 'high too', priority: 9 },
      { capability: 'work', intent: 'middle', priority: 5 },
      { capability: 'work', intent: 'low' },
    ]);
  });

  it.each([0, 11, 1.5, 'high'])('have no priority %j', async (priority) => {
    const { status, body } = await ao.post('/v1/orchestrate', { session_id: 's', capability: 'work', priority });
    expect([status, body.errors.map((e: { field: string }) => e.field)]).toEqual([400, ['priority']]);
  });
});
