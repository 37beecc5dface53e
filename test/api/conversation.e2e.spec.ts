import type { Answer as Answered } from '../../src/agents/agent-client.js';
import { ContractManager } from '../../src/contracts/contracts.commands.js';
import { nap } from '../support/nap.js';
import { type Answer, type Body, running } from '../support/orchestrator.js';
import { agentsFile, describeEachPlace, EXAMPLE, MOODY } from '../support/place.js';
import { expectRecorded, recorded, sorted } from '../support/recorded.js';
import { registerTalker, Talker } from '../support/talker.js';

const FILES = [
  { name: 'plan.pdf', media_type: 'application/pdf', size: 5, sha256: '0'.repeat(64) },
  { url: 'https://files.example/a b', media_type: 'text/plain' },
];
const SAID = { text: 'Here you are.\u0000😀', files: FILES, raw: { z: [1, null], a: { id: 'm1' } }, read: 'message: part 0 → text' };

describeEachPlace('what an agent said', (make) => {
  const talker = new Talker();
  const ao = running(make, async () => ({ AGENTS_FILE: await agentsFile([EXAMPLE, MOODY]) }));
  let session_id: string;
  let serial = 0;
  beforeAll(() => registerTalker(ao.server, talker));
  beforeEach(() => {
    session_id = `talk ${++serial}`;
    talker.given.length = 0;
  });
  const talk = (body: Body = {}, headers = {}) => ao.orchestrate({ session_id, capability: 'talk', ...body }, headers);

  it.each<[string, Answered]>([
    ['that it did', { success: true, data: { b: 1, a: 2 }, ...SAID, continuation: { contextId: 'c' } }],
    ['that it could not', { success: false, code: 'agent_failed', message: 'no', data: { tried: 1 }, ...SAID }],
    ['in words only', { success: true, data: null, text: '' }],
  ])('%s is recorded part by part, answered, and shown', async (_what, said) => {
    talker.answers(said);
    const answer = await talk();
    const { data = null, text = null, files = [], raw, read, continuation } = said;
    expect(answer).toMatchObject({ success: said.success, data, text, files });
    const { response } = await expectRecorded(ao.db, answer);
    const { error: _, ...payload } = response.payload;
    expect(payload).toEqual(JSON.parse(JSON.stringify({ result: said.data, text: said.text, files: said.files, raw, read, continuation })));
    const { body } = await ao.get(`/v1/contracts/${answer.contract_id}`);
    expect(body.request).toMatchObject({ result: data, text, files });
    expect(body.response).toMatchObject({ result: data, text, files });
    expect(body.response.metadata).toEqual(JSON.parse(JSON.stringify({ raw, read, continuation })));
  });

  it.each(['input_required', 'auth_required', 'cancelled'] as const)('as %s ends the contract with that code', async (code) => {
    talker.answers({ success: false, code, message: 'which one?', text: 'Which one?' });
    const answer = await talk();
    expect(answer).toMatchObject({ success: false, error_code: code, error: 'which one?', text: 'Which one?' });
    const { response } = await expectRecorded(ao.db, answer);
    expect(response.record['status']).toBe(code === 'cancelled' ? 'cancelled' : 'failed');
  });

  it('is repeated under the same Idempotency-Key byte for byte, files and words too', async () => {
    talker.answers({ success: true, data: { z: 1, a: { y: 1, b: 2 }, 10: 0, 9: 0 }, ...SAID });
    const send = () => ao.post('/v1/orchestrate', { session_id, capability: 'talk' }, { 'idempotency-key': session_id });
    const first = await send();
    expect([first.body.text, first.body.files]).toEqual([SAID.text, FILES]);
    expect((await send()).text).toBe(first.text);
    expect(talker.given).toHaveLength(1);
  });

  it('that breaks the output schema is kept: its words, and the answer as it came', async () => {
    talker.answers({ success: true, data: 'no number', ...SAID }, { success: true, data: 'no number' });
    const whole = await talk({ capability: 'count' });
    expect(whole).toMatchObject({ success: false, error_code: 'agent_invalid_output', data: null, text: SAID.text, files: FILES });
    expect((await expectRecorded(ao.db, whole)).response.payload['raw']).toEqual(sorted(SAID.raw));
    const bare = await talk({ capability: 'count' });
    expect((await expectRecorded(ao.db, bare)).response.payload['raw']).toEqual({ value: 'no number' });
  });
});

describeEachPlace('a conversation with an agent', (make) => {
  const [talker, other] = [new Talker(), new Talker()];
  const ao = running(make, async () => ({ AGENTS_FILE: await agentsFile([EXAMPLE, MOODY]) }));
  let session_id: string;
  let serial = 0;
  beforeAll(async () => {
    await registerTalker(ao.server, talker);
    await registerTalker(ao.server, other, 'other');
  });
  beforeEach(() => {
    session_id = `conversation ${++serial}`;
    talker.given.length = 0;
    other.given.length = 0;
  });
  const talk = (body: Body = {}) => ao.orchestrate({ session_id, agent_id: 'talker', capability: 'talk', ...body });
  const leaves = (continuation: string): Answered => ({ success: true, data: 1, continuation });
  const asks = (continuation: string): Answered => ({ success: false, code: 'input_required', message: 'which?', continuation });
  const given = () => talker.given.map((g) => g.continuation);
  const requestOf = async (answer: Answer) => (await expectRecorded(ao.db, answer)).request;
  const responseIdOf = async (answer: Answer) =>
    (await recorded(ao.db, 'e.in_reply_to = $1', [answer.contract_id]))[0]!.record['id'] as string;

  it('goes on where it stood, and each REQUEST names the RESPONSE it goes on from', async () => {
    talker.answers(leaves('one'), leaves('two'));
    const [first, second, third] = [await talk(), await talk(), await talk()];
    expect(given()).toEqual(['none', 'one', 'two']);
    expect((await requestOf(first)).payload).not.toHaveProperty('continues');
    expect((await requestOf(second)).payload['continues']).toBe(await responseIdOf(first));
    const { record, payload } = await requestOf(third);
    expect([payload['continues'], record['cause']]).toEqual([await responseIdOf(second), undefined]);
  });

  it('that waits for input is the cause of what is said next', async () => {
    talker.answers(asks('task 7'), leaves('after'));
    const [asked, told] = [await talk(), await talk()];
    expect(given()).toEqual(['none', 'task 7']);
    const { record, payload } = await requestOf(told);
    expect([record['cause'], payload['continues']]).toEqual([await responseIdOf(asked), await responseIdOf(asked)]);
    expect((await requestOf(await talk())).record).not.toHaveProperty('cause');
  });

  it('stays where it stood while the agent cannot be heard, and is over when it answers without', async () => {
    talker.answers(asks('task 7'), { success: false, code: 'agent_unreachable', message: 'gone' }, { success: true, data: 'done' });
    for (let i = 0; i < 4; i++) await talk();
    expect(given()).toEqual(['none', 'task 7', 'task 7', 'none']);
  });

  it('is each agent’s own, and each session’s', async () => {
    talker.answers(leaves('his'));
    other.answers(leaves('hers'));
    await talk();
    await talk({ agent_id: 'other' });
    await talk({ session_id: `${session_id} elsewhere` });
    await ao.orchestrate({ session_id, capability: 'mirrors' });
    await talk();
    await talk({ agent_id: 'other' });
    expect([given(), other.given.map((g) => g.continuation)]).toEqual([
      ['none', 'none', 'his'],
      ['none', 'hers'],
    ]);
  });

  it('outlives a stream that idleness closed', async () => {
    talker.answers(asks('task 7'));
    const asked = await talk();
    await ao.server.app.get(ContractManager).seal(asked.receipt.stream, 'idle', false);
    const told = await talk();
    expect(told.receipt.stream).not.toBe(asked.receipt.stream);
    expect(given()).toEqual(['none', 'task 7']);
    const [seal] = await recorded(ao.db, `e.stream = $1 AND e.type = 'session.closed'`, [asked.receipt.stream]);
    const { record, payload } = await requestOf(told);
    expect([record['cause'], payload['continues']]).toEqual([seal!.record['id'], await responseIdOf(asked)]);
    const { data } = await ao.orchestrate({ session_id, capability: 'mirrors', context: { history: 9 } });
    const { context } = data as { context: { history: { contract_id: string }[] } };
    expect(context.history.map((h) => h.contract_id)).toEqual([told.contract_id, asked.contract_id]);
  });

  it('is looked for only where an agent converses', async () => {
    const named = jest.spyOn(ao.db, 'named');
    await ao.orchestrate({ session_id, capability: 'mirrors' });
    await ao.orchestrate({ session_id, capability: 'mirrors' });
    const asked = named.mock.calls.map(([name]) => name);
    named.mockRestore();
    expect(asked).toContain('find_session'); // when it was new
    expect(asked.filter((name) => ['responses_of_agent', 'latest_responses', 'payload_sizes'].includes(name))).toEqual([]);
    expect(asked.filter((name) => name === 'find_session')).toHaveLength(1);
  });
});

describeEachPlace('context {history: n}', (make) => {
  const ao = running(make, async () => ({ AGENTS_FILE: await agentsFile([EXAMPLE, MOODY]) }));
  let session_id: string;
  let serial = 0;
  beforeEach(() => {
    session_id = `history ${++serial}`;
  });
  const mirrored = async (context: Body, more: Body = {}) => {
    const answer = await ao.orchestrate({ session_id, capability: 'mirrors', context, ...more });
    const { request } = await expectRecorded(ao.db, answer);
    return { answer, context: (answer.data as { context: { history: { contract_id: string }[] } }).context, payload: request.payload };
  };

  it('puts the latest contracts in front of the agent, newest first, and their ids on the record', async () => {
    const done = await ao.orchestrate({ session_id, capability: 'echo', parameters: { text: 'hi' } });
    const failed = await ao.orchestrate({ session_id, capability: 'refuses', parameters: { n: 1 } });
    const { context, payload } = await mirrored({ history: 5, lang: 'de' });
    const created = async (answer: Answer) => (await expectRecorded(ao.db, answer)).request.record['time'];
    const common = { text: null };
    expect(context).toEqual({
      lang: 'de',
      history: [
        {
          ...common,
          contract_id: failed.contract_id,
          agent_id: 'moody',
          capability: 'refuses',
          parameters: { n: 1 },
          result: { tried: 3 },
          error: 'not today',
          error_code: 'agent_failed',
          status: 'failed',
          created_at: await created(failed),
        },
        {
          ...common,
          contract_id: done.contract_id,
          agent_id: 'agent_example_001',
          capability: 'echo',
          parameters: { text: 'hi' },
          result: { message: 'Echo: hi' },
          error: null,
          error_code: null,
          status: 'completed',
          created_at: await created(done),
        },
      ],
    });
    expect(payload).toMatchObject({ context: { history: 5, lang: 'de' }, history: [failed.contract_id, done.contract_id] });
    const { body } = await ao.get(`/v1/contracts?session_id=${encodeURIComponent(session_id)}&type=REQUEST`);
    expect(body.contracts.at(-1).metadata).toMatchObject({
      context: { history: 5, lang: 'de' },
      history: [failed.contract_id, done.contract_id],
    });
  });

  it('gives no more than asked for, nothing of other sessions, and what has not ended not at all', async () => {
    await ao.orchestrate({ session_id: `${session_id} elsewhere`, capability: 'mirrors' });
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) ids.push((await ao.orchestrate({ session_id, capability: 'mirrors', parameters: { i } })).contract_id);
    const { parameters, begun, wake } = await nap();
    const running = ao.orchestrate({ session_id, capability: 'sleeps', parameters });
    await begun();
    const { context } = await mirrored({ history: 3 });
    await wake();
    expect(context.history.map((h) => h.contract_id)).toEqual(ids.slice(1).reverse());
    await running;
    expect((await mirrored({ history: 0 })).context.history).toEqual([]);
    expect((await mirrored({ history: 50 }, { session_id: `${session_id} new` })).context.history).toEqual([]);
  });

  it('leaves out what is too large, and keeps the rest within 256 KiB', async () => {
    const texts = ['x'.repeat(300 * 1024), ...Array.from({ length: 5 }, (_, i) => `${i}`.repeat(90 * 1024))];
    for (const text of texts) await ao.orchestrate({ session_id, capability: 'says-nothing-of-the-result', parameters: { text } });
    await ao.orchestrate({ session_id, capability: 'says-nothing-of-the-result', parameters: { text: texts[0]! } });
    const { context, payload } = await mirrored({ history: 50 });
    expect(context.history.map((h) => (h as unknown as { parameters: { text: string } }).parameters.text[0])).toEqual(['4', '3']);
    expect(payload['history']).toHaveLength(2);
    expect(JSON.stringify(context).length).toBeLessThan(257 * 1024);
  });

  it.each([-1, 51, 1.5, 1e21])('refuses %s, and nothing is recorded', async (history) => {
    const { status, body } = await ao.post('/v1/orchestrate', { session_id, capability: 'mirrors', context: { history } });
    expect([status, body.code, body.detail]).toEqual([400, 'invalid_request', expect.stringContaining('context.history')]);
    expect((await ao.get(`/v1/sessions/${encodeURIComponent(session_id)}`)).status).toBe(404);
  });

  it('leaves a history of the caller’s own as it is', async () => {
    const { context, payload } = await mirrored({ history: ['his own'] });
    expect(context).toEqual({ history: ['his own'] });
    expect(payload).not.toHaveProperty('history');
  });
});
