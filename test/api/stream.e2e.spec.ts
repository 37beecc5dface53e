import { join } from 'node:path';
import fc from 'fast-check';
import { follow, SlowCaller } from '../support/events.js';
import { nap } from '../support/nap.js';
import { type Answer, type Body, running, until } from '../support/orchestrator.js';
import { type Peer, says, startPeer } from '../support/peer.js';
import { agentsFile, describeEachPlace, EXAMPLE, MOODY, scratchDirectory } from '../support/place.js';
import { aTime, aUlid, countEvents, expectRecorded, noted, type Recorded, recorded } from '../support/recorded.js';

/** All of a record that two tasks alike have in common. */
function withoutIdentity({ record, payload }: Recorded): object {
  const { id: _, stream: __, seq: ___, prev, time: ____, task, deadline, trace, in_reply_to, cause, _sd, ...same } = record;
  const there = { prev, task, deadline, trace, in_reply_to, cause };
  const { session: _____, ...rest } = structuredClone(payload);
  // How far the registry had followed the ledger, which the other task has made longer.
  if (typeof rest['routing'] === 'object' && rest['routing'] !== null) delete (rest['routing'] as { registry?: number }).registry;
  return {
    ...same,
    payload: rest,
    there: Object.keys(there).filter((name) => there[name as keyof typeof there] !== undefined),
    _sd: (_sd as string[]).length,
  };
}

/** How much of its time was left when the agent was asked differs by a millisecond. */
const untimed = <T extends object>(what: T): T => JSON.parse(JSON.stringify(what).replace(/within [\d.]+ s/g, 'within its time')) as T;

describeEachPlace('a task that is followed', (make) => {
  let peer: Peer;
  const ao = running(make, async () => {
    peer = await startPeer({ silent: () => undefined, answers: says('{"success":true,"data":{"n":1}}') });
    const capabilities = [{ name: 'answers' }, { name: 'silent' }];
    return { AGENTS_FILE: await agentsFile([EXAMPLE, MOODY, { agent_id: 'peer', name: 'Peer', endpoint: peer.url, capabilities }]) };
  });
  afterAll(() => peer?.close());

  let session_id: string;
  let note: string;
  let serial = 0;
  beforeEach(async () => {
    session_id = `followed ${++serial}`;
    note = join(await scratchDirectory(), 'note');
  });
  const followed = (body: Body, headers?: Record<string, string>) => follow(ao.server.url, { session_id, ...body }, headers);
  const contractsOf = async (session: string) =>
    (await ao.get(`/v1/contracts?session_id=${encodeURIComponent(session)}`)).body.contracts as {
      status: string;
      error_code: string | null;
    }[];

  it('tells the contract, what the agent tells in its order, and last the result', async () => {
    const { status, headers, events } = await followed({ capability: 'tells', parameters: { pieces: ['Hel', 'lo\n\n', '\u0000😀'] } });
    expect([status, headers['content-type'], headers['cache-control'], headers['x-accel-buffering']]).toEqual([
      200,
      'text/event-stream',
      'no-store',
      'no',
    ]);
    expect(events.slice(0, -1)).toEqual([
      { event: 'contract', data: { contract_id: aUlid, agent_id: 'moody', task_id: aUlid } },
      { event: 'status', data: { status: 'thinking' } },
      { event: 'delta', data: { delta: 'Hel' } },
      { event: 'delta', data: { delta: 'lo\n\n' } },
      { event: 'delta', data: { delta: '\u0000😀' } },
      { event: 'status', data: { status: 'done' } },
    ]);
    const { event, data } = events.at(-1)!;
    expect([event, data]).toEqual(['result', expect.objectContaining({ ...events[0]!.data, success: true, timestamp: aTime })]);
    await expectRecorded(ao.db, data as Answer);
  });

  it('is told of the contract while the agent works, when the REQUEST is on the record and the RESPONSE is not', async () => {
    const { parameters, begun, wake } = await nap();
    const caller = new SlowCaller(ao.server.url, { session_id, capability: 'sleeps', parameters });
    const reading = caller.readAll();
    await begun();
    await until('the first event is there', () => caller.bytes > 0);
    expect((await contractsOf(session_id)).map((c) => c.status)).toEqual(['pending']);
    await wake();
    await reading;
    expect(caller.events.map((e) => e.event)).toEqual(['contract', 'result']);
  });

  it.each([
    ['done', { capability: 'tells', parameters: { pieces: ['a', 'b'] } }],
    ['refused by its agent', { capability: 'refuses' }],
    ['broken off by its agent', { capability: 'tells-and-throws' }],
    ['done over HTTP', { capability: 'answers' }],
    ['nobody’s', { capability: 'nobody-offers-this' }],
    ['late', { capability: 'never-answers', timeout_seconds: 0.2 }],
  ])('and %s is answered and recorded exactly as without', async (_how, body) => {
    const { events } = await followed({ ...body, session_id: `${session_id} streamed` });
    const plain = await ao.orchestrate({ ...body, session_id: `${session_id} plain` });
    const streamed = events.at(-1)!.data as Answer;
    const { contract_id: _, task_id: __, timestamp: ___, receipt: ____, ...same } = untimed(plain);
    expect(untimed(streamed)).toEqual({ ...same, contract_id: aUlid, task_id: aUlid, timestamp: aTime, receipt: expect.any(Object) });
    expect(Object.keys(streamed)).toEqual(Object.keys(plain));
    const [one, other] = [await expectRecorded(ao.db, streamed), await expectRecorded(ao.db, plain)];
    expect(withoutIdentity(one.request)).toEqual(withoutIdentity(other.request));
    expect(untimed(withoutIdentity(one.response))).toEqual(untimed(withoutIdentity(other.response)));
  });

  it('has the result on the record whatever the deltas were', async () => {
    const pieces = fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(pieces, async (parts) => {
        const { events } = await followed({ capability: 'tells', parameters: { pieces: parts } });
        expect(events.filter((e) => e.event === 'delta').map((e) => e.data.delta)).toEqual(parts);
        const { response } = await expectRecorded(ao.db, events.at(-1)!.data as Answer);
        expect(response.payload).toEqual({ result: { said: 'the whole answer' } });
      }),
      { numRuns: 15 },
    );
  });

  it('ends with a result when its agent throws half-way, or tells nonsense', async () => {
    const threw = await followed({ capability: 'tells-and-throws' });
    expect(threw.events.map((e) => [e.event, e.data.delta ?? e.data.error_code ?? null])).toEqual([
      ['contract', null],
      ['delta', 'half'],
      ['result', 'agent_threw'],
    ]);
    const nonsense = await followed({ capability: 'tells-nonsense' });
    expect(nonsense.events.at(-1)).toMatchObject({
      event: 'result',
      data: { error_code: 'agent_threw', error: expect.stringContaining('{delta: text}') },
    });
    expect((await ao.orchestrate({ session_id, capability: 'tells-nonsense' })).error_code).toBe('agent_threw'); // heard or not
  });

  it('ends with a result at the deadline, and what is told afterwards goes nowhere', async () => {
    const late = await followed({ capability: 'tells-and-waits', parameters: { note }, timeout_seconds: 0.3 });
    expect(late.events.map((e) => e.event)).toEqual(['contract', 'delta', 'result']);
    expect(late.events.at(-1)!.data.error_code).toBe('agent_timeout');
    await noted(note, 'aborted');
    const after = await followed({ capability: 'tells-too-late', parameters: { note } });
    expect(after.events.map((e) => e.event)).toEqual(['contract', 'delta', 'result']);
    await noted(note, 'told');
    expect((await ao.get('/v1/health')).status).toBe(200);
  });

  it('whose caller hangs up is cancelled at the agent, and its contract ends cancelled', async () => {
    const caller = new SlowCaller(ao.server.url, { session_id, capability: 'tells-and-waits', parameters: { note }, timeout_seconds: 60 });
    await noted(note, 'started');
    caller.hangUp();
    await noted(note, 'aborted');
    await until('the contract has ended', async () => (await contractsOf(session_id)).length === 2);
    const [, response] = await recorded(ao.db, 'e.stream = (SELECT stream FROM session WHERE name = $1)', [session_id]);
    expect(response!.record).toMatchObject({ status: 'cancelled', error_code: 'cancelled', from: 'moody' });
    expect(response!.payload).toEqual({ error: { code: 'cancelled', message: 'the caller hung up before the agent answered' } });
  });

  it('whose caller hangs up over HTTP hangs up on the agent', async () => {
    const caller = new SlowCaller(ao.server.url, { session_id, capability: 'silent', timeout_seconds: 60 });
    await until('the agent is asked', () => peer.heard.some((h) => h.task.capability === 'silent'));
    const { task } = peer.heard.find((h) => h.task.capability === 'silent')!;
    caller.hangUp();
    await until('the agent sees it', () => peer.abandoned.includes(task.task_id));
    await until('the contract has ended', async () => (await contractsOf(session_id))[1]?.error_code === 'cancelled');
  });

  it('goes on without events when its caller hangs up, and is recorded as done', async () => {
    const parameters = { ms: 300, note };
    const caller = new SlowCaller(ao.server.url, { session_id, capability: 'sleeps', parameters }, { accept: 'application/json' });
    await noted(note, 'started');
    caller.hangUp();
    await until('the contract has ended', async () => (await contractsOf(session_id))[1]?.status === 'completed');
  });

  it('whose caller reads nothing misses deltas and gets its result whole; nobody waits for him', async () => {
    const [size, times, answer] = [16 * 1024, 4000, 1_000_000];
    const caller = new SlowCaller(ao.server.url, { session_id, capability: 'pours', parameters: { size, times, answer } });
    await until('the contract has ended', async () => (await contractsOf(session_id))[1]?.status === 'completed', 30_000);
    await caller.readAll();
    const deltas = caller.events.filter((e) => e.event === 'delta');
    const result = caller.events.at(-1)!;
    expect([result.event, (result.data as Answer).data]).toEqual(['result', 'y'.repeat(answer)]);
    expect(deltas.length).toBeLessThan(times);
    // What the sockets of both sides hold, 256 KiB, and the result: of 64 MB that were told.
    expect(caller.bytes).toBeLessThan(24 * 2 ** 20);
    expect(deltas.every((e) => e.data.delta.length === size)).toBe(true);
    await expectRecorded(ao.db, result.data as Answer);
  });

  it('says in the next event how many were left out', async () => {
    const { events } = await followed({ capability: 'tells', parameters: { pieces: ['x'.repeat(300 * 1024), 'y', 'z'] } });
    expect(events.slice(1, 5)).toEqual([
      { event: 'status', data: { status: 'thinking' } },
      { event: 'delta', data: { delta: 'y', missed: 1 } },
      { event: 'delta', data: { delta: 'z' } },
      { event: 'status', data: { status: 'done' } },
    ]);
  });

  it('with an Idempotency-Key is called once: again, it gives contract and the recorded result at once', async () => {
    const body = { capability: 'tells', parameters: { pieces: ['once'] } };
    const first = await followed(body, { 'idempotency-key': session_id });
    const before = await countEvents(ao.db);
    const again = await followed(body, { 'idempotency-key': session_id });
    expect(again.events).toEqual([first.events[0], first.events.at(-1)]);
    expect(await ao.orchestrate({ session_id, ...body }, { 'idempotency-key': session_id })).toEqual(first.events.at(-1)!.data);
    expect(await countEvents(ao.db)).toBe(before);
  });

  it.each([
    ['a body that is wrong', 400, 'invalid_request', {}, {}],
    ['a key of another body', 409, 'key_conflict', { capability: 'mirrors' }, { 'idempotency-key': 'taken' }],
    ['a closed session', 409, 'session_closed', { capability: 'mirrors', session_id: 'closed for it' }, {}],
  ])('that was not recorded, for %s, is an ordinary problem with its status', async (_why, status, code, body, headers) => {
    await ao
      .orchestrate({ session_id, capability: 'mirrors', parameters: { serial } }, { 'idempotency-key': 'taken' })
      .catch(() => undefined);
    await ao.orchestrate({ session_id: 'closed for it', capability: 'mirrors' }).catch(() => undefined);
    await ao.post(`/v1/sessions/${encodeURIComponent('closed for it')}/close`);
    const before = await countEvents(ao.db);
    const answer = await followed(body, headers);
    expect([answer.status, answer.headers['content-type'], answer.body.code]).toEqual([
      status,
      expect.stringMatching(/^application\/problem\+json/),
      code,
    ]);
    expect(await countEvents(ao.db)).toBe(before);
  });

  it.each([
    ['text/event-stream', true],
    ['application/json, TEXT/Event-Stream;q=0.9', true],
    ['text/event-stream;q=0', false],
    ['text/event-stream-ish', false],
    ['*/*', false],
  ])('is asked for by name: accept: %s', async (accept, streams) => {
    const { events } = await followed({ capability: 'mirrors' }, { accept });
    expect(events.length > 0).toBe(streams);
  });

  it('by many at once is told to each what is his', async () => {
    const all = await Promise.all(
      Array.from({ length: 30 }, (_, i) => followed({ capability: 'tells', parameters: { pieces: [`${i}`] } })),
    );
    all.forEach(({ events }, i) => {
      expect(events.map((e) => e.data.delta).filter((d) => d !== undefined)).toEqual([`${i}`]);
      expect(events.at(-1)!.data.contract_id).toBe(events[0]!.data.contract_id);
    });
  });
});
