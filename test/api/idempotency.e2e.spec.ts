import { setTimeout as sleep } from 'node:timers/promises';
import { nap } from '../support/nap.js';
import { type Answer, type Body, running, start } from '../support/orchestrator.js';
import { describeEachPlace, inspect } from '../support/place.js';
import { countEvents, expectRecorded } from '../support/recorded.js';
import { expectSound } from '../support/sound.js';

describeEachPlace('an Idempotency-Key', (make) => {
  const ao = running(make);
  let key: string;
  let serial = 0;
  beforeEach(() => {
    key = `key ${++serial}`;
  });
  const send = (body: Body, headers = { 'idempotency-key': key }) => ao.post('/v1/orchestrate', body, headers);
  const contractsOf = async (session: string) => (await ao.get(`/v1/contracts?session_id=${session}&type=REQUEST`)).body.total as number;

  it('with the same body gives the same contract and the same answer, to the byte', async () => {
    const body = { session_id: 'same', capability: 'mirrors', parameters: { b: 1, a: { text: '\u0000😀' } } };
    const first = await send(body);
    const events = await countEvents(ao.db);
    const second = await send({ parameters: { a: { text: '\u0000😀' }, b: 1 }, capability: 'mirrors', session_id: 'same' }); // other order
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.text).toBe(first.text);
    expect(await countEvents(ao.db)).toBe(events);
    await expectRecorded(ao.db, second.body as Answer);
  });

  it.each(['refuses', 'throws-at-once', 'answers-maybe', 'nobody-offers-this'])('repeats failures too (%s)', async (capability) => {
    const body = { session_id: 'failures', capability };
    const first = await send(body);
    expect(first.body).toMatchObject({ success: false, error_code: expect.any(String) });
    expect((await send(body)).body).toEqual(first.body);
  });

  it.each([
    ['other parameters', { parameters: { n: 2 } }],
    ['another session', { session_id: 'elsewhere' }],
    ['another timeout', { timeout_seconds: 9 }],
    ['another capability', { capability: 'refuses' }],
  ])('with %s is a 409 and nothing is recorded', async (_what, change) => {
    const body = { session_id: 'conflict', capability: 'mirrors', parameters: { n: 1 } };
    expect((await send(body)).status).toBe(200);
    const events = await countEvents(ao.db);
    const { status, body: problem } = await send({ ...body, ...change });
    expect([status, problem.code]).toEqual([409, 'key_conflict']);
    expect(await countEvents(ao.db)).toBe(events);
    expect((await send({ ...body, ...change }, { 'idempotency-key': `${key}, another` })).status).toBe(200);
  });

  it('whose call is still running is a 409 with Retry-After, and afterwards gives its answer', async () => {
    const { parameters, begun, wake } = await nap();
    const body = { session_id: 'running', capability: 'sleeps', parameters };
    const first = ao.orchestrate(body, { 'idempotency-key': key });
    await begun();
    const { status, body: problem, headers } = await send(body);
    expect([status, problem.code, headers['retry-after']]).toEqual([409, 'key_in_flight', '1']);
    expect((await send({ ...body, intent: 'other' })).body.code).toBe('key_conflict');
    await wake();
    const told = await first;
    expect((await send(body)).body).toEqual(told);
    expect(await contractsOf('running')).toBe(1);
  });

  it.each([
    ['an agent does at once', 'mirrors'],
    ['an agent takes a while for', 'sleeps'],
    ['nobody does', 'nobody-offers-this'],
  ])('sent by fifty at once for what %s makes one contract', async (_what, capability) => {
    const session_id = `fifty-${capability}`;
    const body = { session_id, capability, parameters: { ms: 200 } };
    const insist = async (): Promise<Answer> => {
      for (let attempt = 0; attempt < 200; attempt++) {
        const { status, body: answer } = await send(body);
        if (status === 200) return answer as Answer;
        expect([status, answer.code]).toEqual([409, 'key_in_flight']);
        await sleep(50);
      }
      throw new Error('in flight for ever');
    };
    const answers = await Promise.all(Array.from({ length: 50 }, insist));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await contractsOf(session_id)).toBe(1);
    await expectRecorded(ao.db, answers[0]!);
  });

  it('that is different for each of fifty makes fifty contracts', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => send({ session_id: 'own-keys', capability: 'mirrors' }, { 'idempotency-key': `${key} ${i}` })),
    );
    expect(new Set(answers.map((a) => a.body.contract_id)).size).toBe(50);
    expect(await contractsOf('own-keys')).toBe(50);
  });

  it('still gives the answer after its session was closed', async () => {
    const body = { session_id: 'closed', capability: 'mirrors' };
    const first = await send(body);
    expect((await ao.post('/v1/sessions/closed/close')).status).toBe(200);
    const again = await send(body);
    expect([again.status, again.body]).toEqual([200, first.body]);
  });
});

describeEachPlace('an Idempotency-Key after a restart', (make) => {
  it('gives the recorded answer', async () => {
    const place = await make();
    try {
      const body = { session_id: 's', capability: 'mirrors', parameters: { n: 1 } };
      const once = async () => {
        const server = await start(place);
        try {
          const headers = { 'content-type': 'application/json', 'idempotency-key': 'k' };
          const answer = await fetch(`${server.url}/v1/orchestrate`, { method: 'POST', headers, body: JSON.stringify(body) });
          return (await answer.json()) as Answer;
        } finally {
          await server.close();
        }
      };
      const first = await once();
      expect(first.success).toBe(true);
      expect(await once()).toEqual(first);
      await inspect(place, expectSound);
    } finally {
      await place.drop();
    }
  });
});
