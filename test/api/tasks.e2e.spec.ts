import { join } from 'node:path';
import type { TaskTree } from '../../src/orchestration/tasks.queries.js';
import { describeOnServer } from '../support/databases.js';
import { type Answer, type Body, running, runningTwice, start, until } from '../support/orchestrator.js';
import { anyPlace, describeEachPlace, inspect, scratchDirectory } from '../support/place.js';
import { endAll, spawnOrchestrator } from '../support/process.js';
import { noted } from '../support/recorded.js';
import { expectSound } from '../support/sound.js';

const NOBODY = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const mirrors: Body = { capability: 'mirrors' };
const note = async () => join(await scratchDirectory(), 'note');
const waits = (file: string): Body => ({ capability: 'never-answers', parameters: { note: file } });

async function send(method: 'GET' | 'POST' | 'DELETE', url: string, body?: Body) {
  const answer = await fetch(url, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as never };
}

afterAll(endAll);

describeEachPlace('a task', (make) => {
  const ao = running(make);
  const taskOf = async (id: string) => (await ao.get(`/v1/tasks/${id}`).expect(200)).body as TaskTree;
  const cancel = async (id: string) => (await send('DELETE', `${ao.server.url}/v1/tasks/${id}`)).body as TaskTree;
  const runningTask = async (session: string) => {
    const { contracts } = (await ao.get(`/v1/contracts?session_id=${session}`)).body as { contracts: { task_id: string }[] };
    return contracts[0]!.task_id;
  };

  it('of one contract is shown as it ended', async () => {
    const { contract_id, task_id, timestamp } = await ao.orchestrate({ session_id: 'one', capability: 'refuses' });
    expect(await taskOf(task_id)).toMatchObject({
      task_id,
      session_id: 'one',
      status: 'failed',
      completed_at: timestamp,
      cancel_requested_at: null,
      contracts: [{ contract_id, task_id, cause: null, parent: null, status: 'failed', error_code: 'agent_failed' }],
    });
  });

  it('that is not there is a 404', async () => {
    for (const method of ['GET', 'DELETE'] as const) {
      expect(await send(method, `${ao.server.url}/v1/tasks/${NOBODY}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
      expect(await send(method, `${ao.server.url}/v1/tasks/nonsense`)).toMatchObject({ status: 400 });
    }
  });

  it('is shown while it runs, as far as it has come', async () => {
    const file = await note();
    const plan = { mode: 'sequential', steps: [mirrors, waits(file), mirrors] };
    const asked = ao.orchestrate({ session_id: 'partial', plan });
    await noted(file, 'started');
    const id = await runningTask('partial');
    const { status, completed_at, contracts } = await taskOf(id);
    expect([status, completed_at, contracts.map((c) => c.status)]).toEqual(['running', null, ['pending', 'completed', 'pending']]);
    await cancel(id);
    await asked;
  });

  it('that is cancelled is stopped at its agent, recorded as cancelled, and told so to whoever asked for it', async () => {
    const file = await note();
    const asked = ao.orchestrate({ session_id: 'single', ...waits(file) });
    await noted(file, 'started');
    const task = await cancel(await runningTask('single'));
    expect(task).toMatchObject({
      status: 'cancelled',
      cancel_requested_at: expect.any(String),
      contracts: [{ status: 'cancelled', error: 'the task was cancelled' }],
    });
    await noted(file, 'aborted');
    expect(await asked).toMatchObject({ success: false, error_code: 'cancelled', error: 'the task was cancelled' });
  });

  it('that is a plan and is cancelled keeps what has ended, ends what runs, and does not begin the rest', async () => {
    const [one, two] = [await note(), await note()];
    const plan = {
      mode: 'sequential',
      steps: [mirrors, { plan: { mode: 'parallel', steps: [waits(one), waits(two), mirrors] } }, mirrors],
    };
    const asked = ao.orchestrate({ session_id: 'planned', plan });
    await Promise.all([noted(one, 'started'), noted(two, 'started')]);
    const id = await runningTask('planned');
    expect((await cancel(id)).status).toBe('cancelled');
    await Promise.all([noted(one, 'aborted'), noted(two, 'aborted')]);
    const { error_code, data } = (await asked) as Answer & { data: { individual_results: { status: string; error: string }[] } };
    expect(error_code).toBe('cancelled');
    expect(data.individual_results.map(({ status }) => status)).toEqual(['completed', 'cancelled', 'not_run']);
    expect((await taskOf(id)).contracts.map((c) => c.status)).toEqual(['cancelled', 'completed', 'cancelled', 'cancelled', 'completed']);
  });

  it('that has ended is not changed by being cancelled', async () => {
    const { task_id } = await ao.orchestrate({ session_id: 'ended', ...mirrors });
    expect(await cancel(task_id)).toMatchObject({ status: 'completed', cancel_requested_at: expect.any(String) });
  });
});

describeOnServer('a task on one of two replicas', () => {
  const replicas = runningTwice();

  it.each<[string, (step: Body) => Body]>([
    ['one call', (step) => step],
    ['a plan', (step) => ({ plan: { mode: 'sequential', steps: [step, mirrors] } })],
  ])('that is %s is ended there while the other, where it is cancelled, waits for that', async (what, bodyOf) => {
    const file = await note();
    const body = bodyOf(waits(file));
    const asked = send('POST', `${replicas.both[0]!.url}/v1/orchestrate`, { session_id: what, ...body });
    await noted(file, 'started');
    const { contracts } = (await send('GET', `${replicas.both[1]!.url}/v1/contracts?session_id=${encodeURIComponent(what)}`)).body as {
      contracts: { task_id: string }[];
    };
    const task = (await send('DELETE', `${replicas.both[1]!.url}/v1/tasks/${contracts[0]!.task_id}`)).body as TaskTree;
    expect([task.status, task.contracts.map((c) => c.status)]).toEqual(['cancelled', task.contracts.map(() => 'cancelled')]);
    await noted(file, 'aborted');
    expect((await asked).body).toMatchObject({ success: false, error_code: 'cancelled' });
  });
});

describe('a plan whose process dies', () => {
  it('leaves what had ended as it was; what was open, the plan with it, is closed as interrupted, and its key tells so', async () => {
    const place = await anyPlace();
    try {
      const file = await note();
      const body = { session_id: 's', plan: { mode: 'sequential', steps: [mirrors, waits(file), mirrors] } };
      const first = await spawnOrchestrator(place);
      const headers = { 'content-type': 'application/json', 'idempotency-key': 'k' };
      const asking = fetch(`${await first.url}/v1/orchestrate`, { method: 'POST', headers, body: JSON.stringify(body) }).catch(
        () => undefined,
      );
      await noted(file, 'started');
      first.signal('SIGKILL');
      await Promise.all([first.ended, asking]);
      // Embedded nobody else can be alive; on a server the dead are known after half a minute.
      await inspect(place, (db) => db.query(`UPDATE instance SET seen_at = seen_at - interval '1 minute'`));
      const server = await start(place);
      try {
        await until('everything is closed', async () => {
          const { body: session } = await send('GET', `${server.url}/v1/sessions/s`);
          return (session as { open_requests: number }).open_requests === 0;
        });
        const { contracts } = (await send('GET', `${server.url}/v1/contracts?session_id=s`)).body as { contracts: { task_id: string }[] };
        const task = (await send('GET', `${server.url}/v1/tasks/${contracts[0]!.task_id}`)).body as TaskTree;
        expect(task.status).toBe('failed');
        expect(task.contracts.map((c) => c.error_code)).toEqual(['interrupted', null, 'interrupted']);
        const again = await fetch(`${server.url}/v1/orchestrate`, { method: 'POST', headers, body: JSON.stringify(body) });
        expect(await again.json()).toMatchObject({ success: false, error_code: 'interrupted', data: null, task_id: task.task_id });
      } finally {
        await server.close();
      }
      await inspect(place, expectSound);
    } finally {
      await place.drop();
    }
  }, 120_000);
});
