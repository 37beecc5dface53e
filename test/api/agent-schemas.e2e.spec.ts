import { join } from 'node:path';
import { running } from '../support/orchestrator.js';
import { type Peer, says, startPeer } from '../support/peer.js';
import { agentsFile, describeEachPlace } from '../support/place.js';
import { expectRecorded } from '../support/recorded.js';

const PROMISING = { module: join(__dirname, '../support/agents/promising.js') };
const count = { type: 'object', required: ['count'] };

describeEachPlace('a capability with schemas', (make) => {
  let peer: Peer;
  const ao = running(make, async () => {
    peer = await startPeer({ counts: says('{"success":true,"data":{"count":1}}'), 'counts-not': says('{"success":true}') });
    const capabilities = [
      { name: 'counts', input_schema: count, output_schema: count },
      { name: 'counts-not', output_schema: count },
    ];
    return { AGENTS_FILE: await agentsFile([PROMISING, { agent_id: 'remote', name: 'Remote', endpoint: peer.url, capabilities }]) };
  });
  afterAll(() => peer?.close());

  it('ends the contract as invalid_input without a call, both halves at once, naming each place', async () => {
    const body = { session_id: 'in', capability: 'takes-a-text', parameters: { text: 'x'.repeat(11), more: 1 } };
    const answer = await ao.orchestrate(body);
    expect(answer).toMatchObject({ success: false, data: null, agent_id: 'promising', error_code: 'invalid_input' });
    expect(answer.error).toBe(
      'the parameters do not fit the input schema of "takes-a-text": /parameters must NOT have the property "more"; ' +
        '/parameters/text must NOT have more than 10 characters',
    );
    const { request } = await expectRecorded(ao.db, answer);
    expect(request.record).toMatchObject({ to: 'promising', capability: 'takes-a-text' });
    expect(request.payload['parameters']).toEqual(body.parameters);
    const halves = await ao.db.query<{ x: string }>('SELECT DISTINCT xmin::text AS x FROM event WHERE event_id = $1 OR in_reply_to = $1', [
      answer.contract_id,
    ]);
    expect(halves).toHaveLength(1); // one transaction wrote both
    const good = await ao.orchestrate({ ...body, parameters: { text: 'x' } });
    expect(good).toMatchObject({ success: true, data: { calls: 1 } }); // the first call this agent ever got
  });

  it.each([{}, { parameters: {} }, { parameters: { text: null } }])('is asked of parameters that are not there, too: %j', async (asked) => {
    const answer = await ao.orchestrate({ session_id: 'in', capability: 'takes-a-text', ...asked });
    expect(answer).toMatchObject({
      success: false,
      error_code: 'invalid_input',
      error: expect.stringMatching(/\/parameters.* text|'text'|\/text/),
    });
    await expectRecorded(ao.db, answer);
  });

  it('holds for an agent asked by its id', async () => {
    const answer = await ao.orchestrate({ session_id: 'in', agent_id: 'promising', capability: 'takes-a-text', parameters: { text: 1 } });
    expect(answer).toMatchObject({ error_code: 'invalid_input', error: expect.stringContaining('/parameters/text must be string') });
  });

  it('holds for an agent over HTTP, which is not called', async () => {
    const answer = await ao.orchestrate({ session_id: 'in', capability: 'counts', parameters: { text: 1 } });
    expect(answer).toMatchObject({ agent_id: 'remote', error_code: 'invalid_input' });
    expect(peer.heard).toEqual([]);
    expect(await ao.orchestrate({ session_id: 'in', capability: 'counts', parameters: { count: 1 } })).toMatchObject({
      data: { count: 1 },
    });
    expect(peer.heard).toHaveLength(1);
  });

  it('ends the contract as agent_invalid_output, the data kept as `raw` and given to nobody as a result', async () => {
    const data = { count: 1.5, more: ['kept'] };
    const answer = await ao.orchestrate({ session_id: 'out', capability: 'gives-a-count', parameters: { give: data } });
    expect(answer).toMatchObject({
      success: false,
      data: null,
      agent_id: 'promising',
      error_code: 'agent_invalid_output',
      error: 'the result does not fit the output schema of "gives-a-count": /data/count must be integer',
    });
    const { response } = await expectRecorded(ao.db, answer);
    expect(response.payload['raw']).toEqual({ value: data });
    const { body } = await ao.get(`/v1/contracts/${answer.contract_id}`);
    expect(body.response).toMatchObject({ status: 'failed', result: null, metadata: { raw: { value: data } } });
  });

  it('holds for the result of an agent over HTTP, and for none at all', async () => {
    const answer = await ao.orchestrate({ session_id: 'out', capability: 'counts-not' });
    expect(answer).toMatchObject({ agent_id: 'remote', error_code: 'agent_invalid_output', error: expect.stringContaining('/data ') });
    expect((await expectRecorded(ao.db, answer)).response.payload['raw']).toEqual({ value: null });
  });

  it('says nothing of what an agent sends along with a refusal', async () => {
    const answer = await ao.orchestrate({ session_id: 'out', capability: 'gives-a-count', parameters: { refuse: true } });
    expect(answer).toMatchObject({ error_code: 'agent_failed', error: 'no', data: { count: 'none' } });
  });

  it('whose regular expression backtracks without end does not stop the orchestrator', async () => {
    const text = `${'a'.repeat(50)}!`;
    const slow = ao.orchestrate({ session_id: 'slow', capability: 'takes-what-backtracks', parameters: { text } });
    expect(await slow).toMatchObject({ error_code: 'invalid_input', error: expect.stringContaining('longer than 1000 ms') });
    expect((await ao.get('/v1/health')).status).toBe(200);
  });

  it('is repeated under an Idempotency-Key like any other answer', async () => {
    const ask = () => ao.orchestrate({ session_id: 'again', capability: 'takes-a-text' }, { 'idempotency-key': 'once' });
    const first = await ask();
    expect(first.error_code).toBe('invalid_input');
    expect(await ask()).toEqual(first);
  });
});
