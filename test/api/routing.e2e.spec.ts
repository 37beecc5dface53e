/** Tasks that say in words what they want, without any language model. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { running, settled, until } from '../support/orchestrator.js';
import { anyPlace, scratchDirectory } from '../support/place.js';

const RULES = {
  rules: [
    { name: 'loud', capability: 'uppercase', keywords: { 'capital letters': 0.9 } },
    { capability: 'echo', keywords: { 'say after me': 0.9 } },
  ],
};

describe('a task that says what it wants', () => {
  const ao = running(anyPlace, async () => {
    const file = join(await scratchDirectory(), 'routing.json');
    await writeFile(file, JSON.stringify(RULES));
    return { ROUTING_FILE: file };
  });

  it('is done by whom a rule names, and the message is what he gets', async () => {
    const message = 'this in capital letters please';
    const answer = await ao.orchestrate({ session_id: 'rule', message });
    expect(answer).toMatchObject({ success: true, agent_id: 'agent_example_001', data: { message: message.toUpperCase() } });
    const { body } = await ao.get(`/v1/contracts/${answer.contract_id}/explain`).expect(200);
    expect(body).toMatchObject({
      contract_id: answer.contract_id,
      session_id: 'rule',
      asked: { message },
      agent_id: 'agent_example_001',
      capability: 'uppercase',
      status: 'completed',
      routing: { method: 'rule', confidence: 0.9, message_as: 'text', rules: [{ name: 'loud', matched: ['capital letters'] }] },
    });
    expect(body.explanation.split('\n')).toEqual([
      'agent_example_001 got it as uppercase: a rule of the operator matched the message (0.9, 0.7 is needed), strategy hybrid.',
      'The message was handed over as the parameter "text".',
      'Candidates:',
      '  agent_example_001',
      'Rule "loud" means uppercase with 0.9: capital letters',
      expect.stringMatching(/^The registry was known up to idx \d+\.$/),
    ]);
  });

  it('is done by whom its words fit', async () => {
    const answer = await ao.orchestrate({ session_id: 'words', message: 'repeats the text' });
    expect(answer).toMatchObject({ success: true, data: { message: 'Echo: repeats the text' } });
    const { body } = await ao.get(`/v1/contracts/${answer.contract_id}/explain`).expect(200);
    expect(body.routing).toMatchObject({ method: 'lexical', confidence: expect.any(Number) });
  });

  it('that fits nobody is on the record with the nearest', async () => {
    const answer = await ao.orchestrate({ session_id: 'none', message: 'paint my house and repeat' });
    expect(answer).toMatchObject({
      success: false,
      agent_id: null,
      error_code: 'no_agent',
      error: expect.stringContaining('the nearest are echo (agent_example_001)'),
    });
    const { body } = await ao.get(`/v1/contracts/${answer.contract_id}/explain`).expect(200);
    expect(body.explanation).toMatch(/^Nobody got it: nobody fits this message; the nearest are/);
    expect(body.explanation).toMatch(/did not decide: no language model is configured/);
  });

  it('and names the capability or the agent too goes there, with the message', async () => {
    const message = 'in capital letters';
    const echoed = await ao.orchestrate({ session_id: 'both', capability: 'echo', message });
    expect(echoed.data).toEqual({ message: `Echo: ${message}` });
    const among = await ao.orchestrate({ session_id: 'both', agent_id: 'agent_example_001', message: 'say after me: yes' });
    expect(among.data).toEqual({ message: 'Echo: say after me: yes' });
    const mirrored = await ao.orchestrate({ session_id: 'both', agent_id: 'moody', capability: 'mirrors', message, parameters: { a: 1 } });
    expect(mirrored.data).toMatchObject({ parameters: { a: 1, message } });
  });

  it.each([
    ['is empty', ''],
    ['is white space', ' \n '],
    ['is too long', 'x'.repeat(32_001)],
    ['is no text', 7],
  ])('with a message that %s is refused', async (_, message) => {
    const { body } = await ao.post('/v1/orchestrate', { session_id: 's', message }).expect(400);
    expect(body.errors).toEqual([expect.objectContaining({ field: expect.stringContaining('message') })]);
  });

  it('can be asked about beforehand: the same decision, and nothing is recorded', async () => {
    await settled(ao.db); // the list counts what is sequenced
    const { body: before } = await ao.get('/v1/contracts?limit=1');
    const { body } = await ao.post('/v1/route', { message: 'this in capital letters please' }).expect(200);
    expect(body).toMatchObject({
      agent_id: 'agent_example_001',
      capability: 'uppercase',
      parameters: { text: 'this in capital letters please' },
      ranked: [{ agent_id: 'agent_example_001', capability: 'uppercase' }],
      error: null,
      error_code: null,
      routing: { method: 'rule' },
    });
    expect((await ao.post('/v1/route', { capability: 'uppercase' }).expect(200)).body).toMatchObject({
      agent_id: 'agent_example_001',
      error_code: 'invalid_input',
      error: expect.stringContaining('text'),
    });
    expect((await ao.post('/v1/route', { agent_id: 'nobody' }).expect(200)).body).toMatchObject({ agent_id: null, error_code: 'no_agent' });
    await settled(ao.db);
    expect((await ao.get('/v1/contracts?limit=1')).body.total).toBe(before.total);
  });

  it('says up to where of the ledger the registry was known: there its agents are as they were', async () => {
    const known = async () =>
      (await ao.post('/v1/route', { capability: 'echo', parameters: { text: 'x' } })).body.routing.registry as number;
    await until('both agents of the file are known by their place', async () => (await known()) >= 2);
    const { body } = await ao.get(`/v1/agents/agent_example_001?at=${(await known()) - 1}`).expect(200);
    expect(body).toMatchObject({ agent_id: 'agent_example_001', status: 'available' });
  });

  it('explains a plain decision in few words, and knows of no contract that is not there', async () => {
    const answer = await ao.orchestrate({ session_id: 'plain', capability: 'echo', parameters: { text: 'x' } });
    const { body } = await ao.get(`/v1/contracts/${answer.contract_id}/explain`).expect(200);
    expect(body.explanation).toMatch(
      /^agent_example_001 got it as echo: the caller named the capability\.\nCandidates:\n {2}agent_example_001\n/,
    );
    await ao.get('/v1/contracts/01ARZ3NDEKTSV4RRFFQ69G5FAV/explain').expect(404);
  });
});
