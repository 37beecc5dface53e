import { join } from 'node:path';
import { running, until } from '../support/orchestrator.js';
import { describeEachPlace, scratchDirectory } from '../support/place.js';
import { expectRecorded, noted } from '../support/recorded.js';

/** A capability of the moody agent, the error_code, and what the error must mention. */
const BAD: [string, string, RegExp][] = [
  ['refuses', 'agent_failed', /^not today$/],
  ['refuses-without-a-word', 'agent_failed', /./],
  ['throws-at-once', 'agent_threw', /out of order/],
  ['throws-later', 'agent_threw', /fell over/],
  ['throws-nothing', 'agent_threw', /./],
  ['throws-what-has-no-text', 'agent_threw', /./],
  ['throws-half-a-character', 'agent_threw', /half/],
  ['throws-what-throws', 'agent_threw', /./],
  ['throws-null', 'agent_threw', /null/],
  ['throws-a-symbol', 'agent_threw', /odd/],
  ['throws-an-error-that-will-not-say', 'agent_threw', /./],
  ['throws-a-megabyte', 'agent_threw', /mmm$/],
  ['answers-100-MB', 'agent_response_too_large', /4194304 bytes/],
  ['answers-more-than-a-text-can-hold', 'agent_response_too_large', /4194304 bytes/],
  ['answers-10000-levels', 'agent_invalid_response', /64 levels|nested too deep/],
  ['answers-what-throws-when-read', 'agent_invalid_response', /not for reading/],
  ['answers-nothing', 'agent_invalid_response', /success/],
  ['answers-text', 'agent_invalid_response', /success/],
  ['answers-maybe', 'agent_invalid_response', /success/],
  ['answers-a-BigInt', 'agent_invalid_response', /BigInt/],
  ['answers-a-circle', 'agent_invalid_response', /circular/],
  ['answers-NaN', 'agent_invalid_response', /NaN/],
  ['answers-253', 'agent_invalid_response', /9007199254740992/],
  ['answers-a-function', 'agent_invalid_response', /function/],
  ['answers-70-levels', 'agent_invalid_response', /64 levels/],
  ['answers-half-a-character', 'agent_invalid_response', /surrogate/],
];

describeEachPlace('an agent in this process', (make) => {
  const ao = running(make);
  let note: string;
  beforeEach(async () => {
    note = join(await scratchDirectory(), 'note');
  });

  it.each(BAD)('that %s: the contract ends as %s', async (capability, error_code, error) => {
    const answer = await ao.orchestrate({ session_id: 'bad answers', capability, parameters: { text: 'x' } });
    expect(answer).toMatchObject({ success: false, agent_id: 'moody', error_code, error: expect.stringMatching(error) });
    expect(answer.error!.length).toBeLessThan(5000);
    expect(answer.error).not.toMatch(/^\s*at |node_modules|\.[jt]s:\d/m); // no stack of anybody's
    await expectRecorded(ao.db, answer);
    const { body } = await ao.get(`/v1/contracts/${answer.contract_id}`);
    const told = { status: 'failed', error_code, error: answer.error, result: answer.data, completed_at: answer.timestamp };
    expect(body).toMatchObject({ request: told, response: { ...told, hash: answer.receipt.hash } });
  });

  it('keeps what a refusing agent sent along', async () => {
    const answer = await ao.orchestrate({ session_id: 'bad answers', capability: 'refuses' });
    expect(answer.data).toEqual({ tried: 3 });
    await expectRecorded(ao.db, answer);
  });

  it('keeps an answer of the wrong shape as `raw`', async () => {
    const answer = await ao.orchestrate({ session_id: 'bad answers', capability: 'answers-maybe' });
    expect((await expectRecorded(ao.db, answer)).response.payload['raw']).toEqual({ value: { success: 'maybe', data: 1 } });
  });

  it('may answer 4 MiB as JSON, and not a byte more', async () => {
    const ask = (more: number) => ao.orchestrate({ session_id: 'large', capability: 'answers-as-much-as-allowed', parameters: { more } });
    const most = await ask(0);
    expect(most.success).toBe(true);
    await expectRecorded(ao.db, most);
    expect(await ask(1)).toMatchObject({ success: false, data: null, error_code: 'agent_response_too_large' });
  });

  it('that has no result to give answers null', async () => {
    const answer = await ao.orchestrate({ session_id: 'good answers', capability: 'says-nothing-of-the-result' });
    expect(answer).toMatchObject({ success: true, data: null, error: null });
    await expectRecorded(ao.db, answer);
  });

  it('cannot change what was recorded as asked', async () => {
    const answer = await ao.orchestrate({ session_id: 'good answers', capability: 'scribbles', parameters: { text: 'as asked' } });
    expect((await expectRecorded(ao.db, answer)).request.payload['parameters']).toEqual({ text: 'as asked' });
  });

  it.each(['obeys', 'never-answers'])(
    'that is past its deadline is told by its signal and recorded as agent_timeout (%s)',
    async (capability) => {
      const asked = Date.now();
      const answer = await ao.orchestrate({ session_id: 'slow', capability, parameters: { note }, timeout_seconds: 0.3 });
      expect(Date.now() - asked).toBeLessThan(5000);
      expect(answer).toMatchObject({
        success: false,
        data: null,
        error_code: 'agent_timeout',
        error: expect.stringMatching(/within 0\.[23]\d* s/),
      });
      await noted(note, 'aborted');
      const { request, response } = await expectRecorded(ao.db, answer);
      const [from, deadline, to] = [request.record['time'], request.record['deadline'], response.record['time']].map((t) =>
        Date.parse(t as string),
      );
      expect(deadline! - from!).toBeGreaterThanOrEqual(250);
      expect(to! - from!).toBeGreaterThanOrEqual(250);
    },
  );

  it('answers in time: the deadline does nothing', async () => {
    const answer = await ao.orchestrate({ session_id: 'slow', capability: 'sleeps', parameters: { ms: 50, note }, timeout_seconds: 5 });
    expect(answer).toMatchObject({ success: true, data: { slept: 50 } });
    await expectRecorded(ao.db, answer);
  });

  it('is recorded to its end when the caller hangs up in between', async () => {
    const gone = new AbortController();
    const body = JSON.stringify({ session_id: 'gone', capability: 'sleeps', parameters: { ms: 300, note } });
    const headers = { 'content-type': 'application/json' };
    const asked = fetch(`${ao.server.url}/v1/orchestrate`, { method: 'POST', headers, body, signal: gone.signal });
    await noted(note, 'started');
    gone.abort();
    await expect(asked).rejects.toThrow(/abort/);
    const halves = async () => (await ao.get('/v1/contracts?session_id=gone')).body.contracts as { status: string; result: unknown }[];
    expect(await halves()).toMatchObject([{ status: 'pending', result: null }]);
    await until('the contract is complete', async () => (await halves()).length === 2);
    expect(await halves()).toMatchObject(Array(2).fill({ status: 'completed', result: { slept: 300 } }));
  });

  it('may be called by many at once, each getting his own answer', async () => {
    const ask = (i: number) => ao.orchestrate({ session_id: `many ${i % 7}`, capability: 'mirrors', parameters: { i } });
    const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => ask(i)));
    expect(answers.map((a) => (a.data as { parameters: { i: number } }).parameters.i)).toEqual(Array.from({ length: 60 }, (_, i) => i));
    expect(new Set(answers.map((a) => a.contract_id)).size).toBe(60);
    expect(new Set(answers.map((a) => a.receipt.stream)).size).toBe(7);
    for (const answer of answers) await expectRecorded(ao.db, answer);
  });
});
