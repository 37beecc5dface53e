import { join } from 'node:path';
import type { PlanResult, StepResult } from '../../src/orchestration/plan-result.js';
import type { TaskTree } from '../../src/orchestration/tasks.queries.js';
import { follow } from '../support/events.js';
import { nap } from '../support/nap.js';
import { type Answer, type Body, running, until } from '../support/orchestrator.js';
import { describeEachPlace, scratchDirectory } from '../support/place.js';
import { noted, recorded } from '../support/recorded.js';

type Planned = Omit<Answer, 'data'> & { data: PlanResult };

const mirror = (parameters: Body = {}, more: Body = {}): Body => ({ capability: 'mirrors', parameters, ...more });
const sleeps = (ms: number, more: Body = {}): Body => ({ capability: 'sleeps', parameters: { ms }, ...more });
const refuses: Body = { capability: 'refuses' };
const statuses = (results: readonly StepResult[]) => results.map(({ status }) => status);

describeEachPlace('a plan', (make) => {
  const ao = running(make);
  const run = async (session_id: string, plan: Body, more: Body = {}, headers = {}) =>
    (await ao.orchestrate({ session_id, plan, ...more }, headers)) as unknown as Planned;
  const taskOf = async (id: string) => (await ao.get(`/v1/tasks/${id}`).expect(200)).body as TaskTree;

  it('carries its steps one after the other: each sees what came before, may point into it, and follows from it on the record', async () => {
    const steps = [
      mirror({ n: 1 }, { name: 'first' }),
      mirror({ got: { $from: 'first.result.parameters.n' } }),
      mirror({ all: { $from: 'step2.result' } }),
    ];
    const answer = await run('chain', { mode: 'sequential', steps }, { intent: 'to see', context: { own: true } });
    const { data } = answer;
    expect([answer.success, answer.error, answer.agent_id, data.success_rate, data.failed_agents]).toEqual([true, null, null, 1, []]);
    const [first, second, third] = data.individual_results;
    expect(first!.result).toEqual({ parameters: { n: 1 }, context: { own: true } });
    expect(second!.result).toMatchObject({
      parameters: { got: 1 },
      context: { own: true, previous_results: [{ name: 'first', result: first!.result }] },
    });
    expect(third!.result).toMatchObject({ parameters: { all: second!.result } });
    expect(data.aggregated_result).toEqual({ first: first!.result, step2: second!.result, step3: third!.result });

    const events = await recorded(ao.db, 'e.stream = $1', [answer.receipt.stream]);
    expect(events.map((e) => e.record['type'])).toEqual([
      'contract.request',
      ...Array(3).fill(['contract.request', 'contract.response']).flat(),
      'contract.response',
    ]);
    const ids = events.map((e) => e.record['id']);
    expect(events.map((e) => e.record['cause'])).toEqual([undefined, ids[0], ids[1], ids[2], ids[3], ids[4], ids[5], ids[0]]);
    expect(new Set(events.map((e) => e.record['task']))).toEqual(new Set([answer.task_id]));
    expect(ids[0]).toBe(answer.contract_id);
    expect(events[0]!.payload).toMatchObject({ plan: { mode: 'sequential', steps }, asked: { intent: 'to see' }, context: { own: true } });
    expect(events[3]!.payload).toMatchObject({
      parameters: { got: 1 },
      context: { own: true },
      step: { plan: ids[0], name: 'step2', place: '2' },
      previous: [ids[1]],
      asked: { capability: 'mirrors', intent: 'to see' },
    });
    expect(events[5]!.payload['previous']).toEqual([ids[1], ids[3]]);
    expect(events[7]!.payload['result']).toEqual({
      aggregate: 'all',
      steps: data.individual_results.map(({ name, contract_id }) => ({ name, status: 'completed', contract_id })),
    });
  });

  it('takes steps that say in words what they want, and each step explains who got it', async () => {
    const steps = [{ message: 'mirrors' }, { agent_id: 'moody', capability: 'mirrors' }];
    const { success, contract_id, data } = await run('words', { mode: 'parallel', steps });
    expect([success, data.individual_results.map(({ agent_id, capability }) => [agent_id, capability])]).toEqual([
      true,
      [
        ['moody', 'mirrors'],
        ['moody', 'mirrors'],
      ],
    ]);
    const explained = async (id: string) => (await ao.get(`/v1/contracts/${id}/explain`).expect(200)).body.explanation as string;
    expect(await explained(contract_id)).toMatch(/^It is a plan/);
    expect(await explained(data.individual_results[0]!.contract_id!)).toMatch(/^moody got it as mirrors/);
  });

  it('stops a sequence at the first failure: what follows is not begun, and told so', async () => {
    const answer = await run('stops', { mode: 'sequential', steps: [mirror(), refuses, mirror()] });
    expect([answer.success, answer.error_code, answer.error]).toEqual([false, 'step_failed', 'step "step2" failed']);
    const { individual_results: results, failed_agents, success_rate } = answer.data;
    expect(statuses(results)).toEqual(['completed', 'failed', 'not_run']);
    expect([failed_agents, success_rate]).toEqual([['moody'], 1 / 3]);
    expect(results[1]).toMatchObject({ error_code: 'agent_failed', error: 'not today', result: { tried: 3 } });
    expect(results[2]).toMatchObject({ contract_id: null, error: 'step "step2" failed' });
    expect((await taskOf(answer.task_id)).contracts).toHaveLength(3);
  });

  it('goes on after a failure that is to be passed over; who points at what is not there is told so, and nobody is asked', async () => {
    const steps = [
      { ...refuses, on_failure: 'continue' },
      mirror({ x: { $from: 'step1.result.gone' } }, { on_failure: 'continue' }),
      mirror(),
    ];
    const { success, data } = await run('continues', { mode: 'sequential', steps });
    expect([success, statuses(data.individual_results), data.success_rate]).toEqual([true, ['failed', 'failed', 'completed'], 1 / 3]);
    expect(data.individual_results[1]).toMatchObject({
      contract_id: null,
      error: 'it points at "step1.result.gone", and there is no such value',
    });
    expect(data.individual_results[2]!.result).toMatchObject({
      context: { previous_results: [{ status: 'failed', error: 'not today' }, {}] },
    });
  });

  it('carries steps at once, and tells of failures beside what succeeded', async () => {
    const { success, data } = await run('at once', { mode: 'parallel', steps: [sleeps(20), sleeps(10), refuses, mirror({ n: 1 })] });
    expect([success, statuses(data.individual_results)]).toEqual([true, ['completed', 'completed', 'failed', 'completed']]);
    expect([data.failed_agents, data.success_rate]).toEqual([['moody'], 0.75]);
    expect(data.aggregated_result).toEqual({
      step1: { slept: 20 },
      step2: { slept: 10 },
      step4: { parameters: { n: 1 }, context: {} },
    });
  });

  it('carries no more steps at once than it may: the others wait for their turn', async () => {
    const directory = await scratchDirectory();
    const notes = [join(directory, 'one'), join(directory, 'two')];
    const steps = [...notes.map((note) => ({ capability: 'never-answers', parameters: { note } })), mirror()];
    const asked = run('bounded', { mode: 'parallel', max_parallel: 2, steps });
    await Promise.all(notes.map((note) => noted(note, 'started')));
    const { contracts } = (await ao.get('/v1/contracts?session_id=bounded')).body as { contracts: { task_id: string }[] };
    await fetch(`${ao.server.url}/v1/tasks/${contracts[0]!.task_id}`, { method: 'DELETE' });
    expect(statuses((await asked).data.individual_results)).toEqual(['cancelled', 'cancelled', 'not_run']);
  });

  it('takes the first success: at once it cancels the others, one by one it does not begin them', async () => {
    const note = join(await scratchDirectory(), 'note');
    const slow = { capability: 'never-answers', parameters: { note } };
    const race = await run('race', { mode: 'parallel', aggregate: 'first_success', steps: [slow, sleeps(50), refuses] });
    expect([race.success, race.data.aggregated_result]).toEqual([true, { slept: 50 }]);
    expect(statuses(race.data.individual_results)).toEqual(['cancelled', 'completed', 'failed']);
    await noted(note, 'aborted');
    const fallback = await run('fallback', {
      mode: 'sequential',
      aggregate: 'first_success',
      steps: [refuses, mirror({ n: 2 }), mirror()],
    });
    expect([fallback.success, statuses(fallback.data.individual_results)]).toEqual([true, ['failed', 'completed', 'not_run']]);
    expect(fallback.data.aggregated_result).toMatchObject({ parameters: { n: 2 } });
    const nobody = await run('nobody', { mode: 'parallel', aggregate: 'first_success', steps: [refuses, refuses] });
    expect([nobody.success, nobody.error, nobody.data.aggregated_result]).toEqual([false, 'no step completed', null]);
  });

  it('nests once: what is within sees what came before, and what comes after sees both', async () => {
    const inner = {
      name: 'both',
      plan: { mode: 'parallel', steps: [mirror({ a: { $from: 'step1.result.parameters.n' } }, { name: 'left' }), refuses] },
    };
    const steps = [
      mirror({ n: 7 }),
      inner,
      mirror({ left: { $from: 'left.result.parameters' }, both: { $from: 'both.result.left.parameters.a' } }),
    ];
    const { success, task_id, contract_id, data } = await run('nested', { mode: 'sequential', steps });
    expect([success, data.success_rate]).toEqual([true, 0.75]);
    expect(data.individual_results[1]).toMatchObject({
      name: 'both',
      status: 'completed',
      contract_id: null,
      steps: [{ name: 'left' }, { status: 'failed' }],
    });
    expect(data.individual_results[2]!.result).toMatchObject({ parameters: { left: { a: 7 }, both: 7 } });
    const { contracts } = await taskOf(task_id);
    expect(contracts.map(({ parent }) => parent)).toEqual([null, ...Array(4).fill(contract_id)]);
    expect(contracts.slice(1).map(({ metadata }) => (metadata['step'] as { place: string }).place)).toEqual(['1', '2.1', '2.2', '3']);
  });

  it('shares one deadline: what runs then times out, what has not begun is not begun', async () => {
    const answer = await run(
      'deadline',
      { mode: 'sequential', steps: [mirror(), sleeps(5000, { on_failure: 'continue' }), mirror()] },
      { timeout_seconds: 1.5 },
    );
    const { individual_results: results } = answer.data;
    expect(statuses(results)).toEqual(['completed', 'failed', 'not_run']);
    expect([results[1]!.error_code, results[2]!.error]).toEqual(['agent_timeout', 'the time of the task was over']);
    const { contracts } = await taskOf(answer.task_id);
    const deadlines = (await recorded(ao.db, 'e.stream = $1', [answer.receipt.stream])).flatMap((e) => e.record['deadline'] ?? []);
    expect([contracts.length, new Set(deadlines).size]).toEqual([3, 1]);
  });

  it('under an Idempotency-Key gives the same answer again, asks nobody twice, and refuses another plan', async () => {
    const plan = {
      mode: 'sequential',
      steps: [mirror({ z: 1, a: 2 }), { plan: { mode: 'parallel', steps: [mirror(), refuses] } }, { ...refuses, on_failure: 'continue' }],
    };
    const key = { 'idempotency-key': 'the plan' };
    const first = await run('keyed', plan, {}, key);
    const again = await run('keyed', plan, {}, key);
    expect(JSON.stringify(again)).toBe(JSON.stringify(first));
    expect((await taskOf(first.task_id)).contracts).toHaveLength(5);
    const other = await ao.post('/v1/orchestrate', { session_id: 'keyed', plan: { ...plan, mode: 'parallel' } }, key);
    expect([other.status, other.body.code]).toEqual([409, 'key_conflict']);
  });

  it('that is still running is a 409 under its key', async () => {
    const { parameters, begun, wake } = await nap();
    const plan = { mode: 'sequential', steps: [{ capability: 'sleeps', parameters }] };
    const key = { 'idempotency-key': 'running plan' };
    const asked = run('key running', plan, {}, key);
    await begun();
    const meanwhile = await ao.post('/v1/orchestrate', { session_id: 'key running', plan }, key);
    expect([meanwhile.status, meanwhile.body.code]).toEqual([409, 'key_in_flight']);
    await wake();
    expect((await asked).success).toBe(true);
  });

  it('is told while it runs: its own contract, each step’s, what their agents say, how each ended, and the answer', async () => {
    const steps = [{ capability: 'tells', parameters: { pieces: ['x'] }, name: 'talk' }, refuses];
    const { events } = await follow(ao.server.url, { session_id: 'told', plan: { mode: 'sequential', steps } });
    expect(events.map(({ event, data }) => [event, data.step ?? data.name])).toEqual([
      ['contract', undefined],
      ['contract', 'talk'],
      ['status', 'talk'],
      ['delta', 'talk'],
      ['status', 'talk'],
      ['step', 'talk'],
      ['contract', 'step2'],
      ['step', 'step2'],
      ['result', undefined],
    ]);
    expect(events.at(-1)!.data).toMatchObject({ success: false, contract_id: events[0]!.data.contract_id });
    expect(events[5]!.data).toEqual(events.at(-1)!.data.data.individual_results[0]);
  });

  it.each<[string, Body, string]>([
    ['with a capability beside it', { capability: 'echo' }, 'capability'],
    ['with parameters beside it', { parameters: {} }, 'parameters'],
    ['with replay_of beside it', { replay_of: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }, 'replay_of'],
  ])('%s is refused', async (_what, more, field) => {
    const { status, body } = await ao.post('/v1/orchestrate', { session_id: 's', plan: { mode: 'parallel', steps: [refuses] }, ...more });
    expect([status, body.errors.map((e: { field: string }) => e.field)]).toEqual([400, [field]]);
  });

  it.each<[string, Body, string]>([
    ['no steps', { mode: 'parallel', steps: [] }, 'plan.steps'],
    ['an unknown mode', { mode: 'random', steps: [refuses] }, 'plan.mode'],
    ['a step that asks for nothing', { mode: 'parallel', steps: [{}] }, 'plan.steps.0.capability'],
    [
      'a step that is a plan and a call',
      { mode: 'parallel', steps: [{ ...refuses, plan: { mode: 'parallel', steps: [refuses] } }] },
      'plan.steps.0.capability',
    ],
    [
      'steps nested twice',
      { mode: 'parallel', steps: [{ plan: { mode: 'parallel', steps: [{ plan: { mode: 'parallel', steps: [refuses] } }] } }] },
      'plan.steps.0.plan.steps.0.plan',
    ],
    [
      'a pointer to a later step',
      { mode: 'sequential', steps: [mirror({ x: { $from: 'step2.result' } }), refuses] },
      'plan.steps.0.parameters/x/$from',
    ],
    ['a name of two words', { mode: 'sequential', steps: [{ ...refuses, name: 'two words' }] }, 'plan.steps.0.name'],
  ])('of %s is refused before anything is recorded, naming the field', async (_what, plan, field) => {
    const { status, body } = await ao.post('/v1/orchestrate', { session_id: 'refused', plan });
    expect([status, body.code]).toEqual([400, 'invalid_request']);
    expect(body.errors.map((e: { field: string }) => e.field)).toContain(field);
    expect((await ao.get('/v1/sessions/refused')).status).toBe(404);
  });

  it('that wants a language model where there is none is refused before anything is recorded', async () => {
    const { status, body } = await ao.post('/v1/orchestrate', {
      session_id: 'no model',
      plan: { mode: 'parallel', aggregate: 'llm', steps: [refuses] },
    });
    expect([status, body.code]).toEqual([503, 'llm_unavailable']);
    expect((await ao.get('/v1/sessions/no%20model')).status).toBe(404);
  });

  it('keeps its session open while it runs, and ends with it when that is closed with ?cancel=true', async () => {
    const note = join(await scratchDirectory(), 'note');
    const asked = run('closed', { mode: 'sequential', steps: [{ capability: 'never-answers', parameters: { note } }, mirror()] });
    await noted(note, 'started');
    expect((await ao.post('/v1/sessions/closed/close')).status).toBe(409);
    expect((await ao.post('/v1/sessions/closed/close?cancel=true')).status).toBe(200);
    const { success, error_code, task_id } = await asked;
    expect([success, error_code]).toEqual([false, 'cancelled']);
    expect(await taskOf(task_id)).toMatchObject({ status: 'cancelled', contracts: [{ status: 'cancelled' }, { status: 'cancelled' }] });
  });

  it('ends at its agents when the caller that follows it hangs up', async () => {
    const note = join(await scratchDirectory(), 'note');
    const gone = new AbortController();
    const body = {
      session_id: 'hung up',
      plan: { mode: 'sequential', steps: [{ capability: 'never-answers', parameters: { note } }, mirror()] },
    };
    const headers = { 'content-type': 'application/json', accept: 'text/event-stream' };
    const asking = fetch(`${ao.server.url}/v1/orchestrate`, { method: 'POST', headers, body: JSON.stringify(body), signal: gone.signal });
    await noted(note, 'started');
    await asking;
    gone.abort();
    await noted(note, 'aborted');
    await until('both contracts are closed', async () => (await ao.get('/v1/sessions/hung%20up')).body.open_requests === 0);
    const { contracts } = (await ao.get('/v1/contracts?session_id=hung%20up&type=REQUEST')).body;
    expect(contracts.map((c: { status: string }) => c.status)).toEqual(['cancelled', 'cancelled']);
  });
});
