import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { describeOnServer } from '../support/databases.js';
import { nap } from '../support/nap.js';
import { type Answer, type Body, runningTwice } from '../support/orchestrator.js';
import { expectRecorded } from '../support/recorded.js';

describeOnServer('two replicas on one PostgreSQL', () => {
  const replicas = runningTwice();
  const post = async (replica: number, path: string, body: Body = {}, headers: Record<string, string> = {}) => {
    const answer = await request(`${replicas.both[replica % 2]!.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as Answer & { code?: string } };
  };
  const db = () => replicas.both[0]!.ledger.db;

  it('open one session when both are asked for it first, and each sees what the other did at once', async () => {
    for (let round = 0; round < 5; round++) {
      const body = { session_id: `both ${round}`, capability: 'mirrors' };
      const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => post(i, '/v1/orchestrate', body)));
      expect(answers.map((a) => a.status)).toEqual(Array(10).fill(200));
      expect(new Set(answers.map((a) => a.body.receipt.stream)).size).toBe(1);
      for (const { url } of replicas.both) {
        const page = await request(`${url}/v1/contracts?session_id=both%20${round}`);
        expect(await page.body.json()).toMatchObject({ total: 20 });
      }
    }
  });

  it('make one contract of one Idempotency-Key, however often both are asked', async () => {
    const body = { session_id: 'keyed', capability: 'sleeps', parameters: { ms: 200 } };
    const insist = async (_: unknown, i: number): Promise<Answer> => {
      for (let attempt = 0; attempt < 200; attempt++) {
        const answer = await post(i, '/v1/orchestrate', body, { 'idempotency-key': 'the key' });
        if (answer.status === 200) return answer.body;
        expect(answer).toMatchObject({ status: 409, body: { code: 'key_in_flight' } });
        await sleep(50);
      }
      throw new Error('in flight for ever');
    };
    const answers = await Promise.all(Array.from({ length: 50 }, insist));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect((await expectRecorded(db(), answers[0]!)).request.record['seq']).toBe(1);
  });

  it('when one closes the session over a call of the other, the caller is told what was recorded', async () => {
    const { parameters, begun, wake } = await nap();
    const asked = post(0, '/v1/orchestrate', { session_id: 'crossed', capability: 'sleeps', parameters });
    await begun();
    expect((await post(1, '/v1/sessions/crossed/close')).status).toBe(409);
    expect((await post(1, '/v1/sessions/crossed/close?cancel=true')).status).toBe(200);
    await wake();
    const { status, body } = await asked;
    expect([status, body.success, body.error_code]).toEqual([200, false, 'cancelled']);
    await expectRecorded(db(), body);
    for (const replica of [0, 1]) {
      expect(await post(replica, '/v1/orchestrate', { session_id: 'crossed', capability: 'mirrors' })).toMatchObject({
        status: 409,
        body: { code: 'session_closed' },
      });
    }
  });
});
