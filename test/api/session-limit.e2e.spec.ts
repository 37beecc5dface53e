import { running } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';

describeEachPlace('with MAX_CONCURRENT_AGENT_SESSIONS', (make) => {
  const ao = running(make, async () => ({ MAX_CONCURRENT_AGENT_SESSIONS: '3' }));
  const ask = (session_id: string) => ao.post('/v1/orchestrate', { session_id, capability: 'echo' });

  it('exactly so many sessions are opened, however many are asked for at once; the others are told to come again, and nothing of them is recorded', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => ask(`s${i}`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(3).fill(200), ...Array(9).fill(429)]);
    const refused = answers.find(({ status }) => status === 429)!;
    expect([refused.body.code, refused.headers['retry-after']]).toEqual(['overloaded', '5']);
    expect((await ao.get('/v1/sessions')).body.sessions).toHaveLength(3);
  });

  it('what is open goes on, a closed one makes room, and callers of one new session are not refused for each other', async () => {
    const { sessions } = (await ao.get('/v1/sessions')).body as { sessions: { session_id: string }[] };
    for (const { session_id } of sessions) expect((await ask(session_id)).status).toBe(200);
    expect((await ask('new')).status).toBe(429);
    expect((await ao.post(`/v1/sessions/${sessions[0]!.session_id}/close`)).status).toBe(200);
    const together = await Promise.all(Array.from({ length: 5 }, () => ask('new')));
    expect(together.map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect((await ask('one more')).status).toBe(429);
  });
});
