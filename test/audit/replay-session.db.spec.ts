import { HistoryCheck, type HistoryLine, type Recorded } from '../../src/audit/replay-history.js';
import { replayRecord } from '../../src/audit/replay-record.postgres.js';
import type { ContractThen, SessionThen } from '../../src/audit/replay-session.js';
import { replaySession, type SessionWish } from '../../src/audit/replay-session.postgres.js';
import type { Source } from '../../src/audit/replay-source.js';
import type { ReplayMessage } from '../../src/audit/replay-wire.js';
import { newId } from '../../src/kernel/ids.system.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { newDisclosure, newDraft } from '../../src/ledger/draft.system.js';
import type { Members } from '../../src/ledger/record.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectSound } from '../support/sound.js';
import { until } from '../support/until.js';
import { Recorder, undone } from './recorded-sessions.js';

interface Told<Item, Result> {
  source?: Source;
  items: Item[];
  result?: Result;
}

async function told<Item, Result>(messages: AsyncIterable<ReplayMessage<Item, Result>>): Promise<Told<Item, Result>> {
  const all: Told<Item, Result> = { items: [] };
  for await (const message of messages) {
    if ('source' in message) all.source = message.source;
    if ('item' in message) all.items.push(message.item);
    if ('result' in message) all.result = message.result;
  }
  return all;
}

describeEachDatabase('replay session', (open) => {
  let db: Database;
  let recorder: Recorder;
  const session = (name: string, wish: Partial<SessionWish> = {}): Promise<Told<ContractThen, SessionThen>> =>
    told(replaySession(db, { tenant: 'default', session: name, ...wish }));
  const record = (name: string): Promise<Told<HistoryLine, Recorded>> => told(replayRecord(db, { tenant: 'default', session: name }));

  beforeAll(async () => {
    ({ db } = await open());
    recorder = new Recorder(db);
    await recorder.session('chat', 3, true);
    await recorder.sequenceAll();
  });

  it('shows the session now: its contracts in their order, what they come to, and from what verified record', async () => {
    const { source, items, result } = await session('chat');
    expect(source).toMatchObject({ verdict: 'valid', events: 5, size: 5 });
    expect(items.map(({ seq, status, error_code, response_seq }) => [seq, status, error_code, response_seq])).toEqual([
      [1, 'failed', 'agent_error', 2],
      [3, 'completed', null, 4],
      [5, 'pending', null, null],
    ]);
    expect(items[1]).toMatchObject({
      ...{ agent_id: 'echo_agent', agent_version: '1.0.0', capability: 'echo', replay_of: null, gone: null },
      request: { parameters: { message: 'hello 1' } },
      response: { result: 'Echo: hello 1' },
    });
    expect(result).toMatchObject({
      ...{ session_id: 'chat', tenant: 'default', earlier: [], unexplained: 0 },
      now: {
        ...{ seq: 5, state: 'open', close_reason: null, tasks: 3, memory: null },
        contracts: { requested: 3, pending: 1, completed: 1, failed: 1, cancelled: 0 },
        agents: { echo_agent: { requested: 3, pending: 1, completed: 1, failed: 1, cancelled: 0 } },
      },
    });
  });

  it('shows it after each of its events as whoever had looked then would have seen it', async () => {
    const heads = await db.query<{ hash: Buffer }>('SELECT hash FROM event ORDER BY seq');
    for (let seq = 1; seq <= 5; seq++) {
      const { items, result } = await session('chat', { at: { seq } });
      const requests = [1, 3, 5].filter((one) => one <= seq);
      const answers = [2, 4].filter((one) => one <= seq);
      expect(items.map((one) => [one.seq, one.response_seq])).toEqual(
        requests.map((one) => [one, answers.includes(one + 1) ? one + 1 : null]),
      );
      expect(items.filter((one) => one.status === 'pending').map((one) => one.response)).toEqual(
        requests.slice(answers.length).map(() => ({})),
      );
      expect(result!.now).toMatchObject({
        ...{ seq, head: heads[seq - 1]!.hash.toString('hex') },
        contracts: { requested: requests.length, pending: requests.length - answers.length },
      });
    }
    for (const seq of [0, 6]) await expect(session('chat', { at: { seq } })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('shows it at a time by when the ledger took its events in', async () => {
    const [{ at }] = (await db.query<{ at: Date }>('SELECT max(sequenced_at) AS at FROM leaf')) as [{ at: Date }];
    await until('time passes', () => Date.now() > at.getTime() + 2);
    await recorder.session('later', 1);
    await recorder.sequenceAll();
    const then = { at: { milliseconds: at.getTime() } };
    expect((await session('chat', then)).result).toMatchObject({ now: { seq: 5 } });
    await expect(session('later', then)).rejects.toMatchObject({ code: 'not_found' });
    expect((await session('later', { at: { milliseconds: Date.now() + 60_000 } })).result).toMatchObject({ now: { seq: 2 } });
    await expect(session('chat', { at: { milliseconds: at.getTime() - 600_000 } })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('shows the streams that idleness closed before the last one, whole', async () => {
    const stream = await recorder.session('twice', 1);
    const seal = newDraft('session.closed', { reason: 'idle' });
    await recorder.append(stream, seal);
    const next = `default/session/${newId()}`;
    const opening = { tenant: 'default', name: 'twice', after: { stream, seal: seal.id }, disclosure: newDisclosure('session', 'twice') };
    const members: Members = {
      from: 'orchestrator',
      to: 'echo_agent',
      capability: 'echo',
      status: 'pending',
      task: newId(),
      cause: seal.id,
    };
    const request = newDraft('contract.request', members, { parameters: {} });
    await recorder.append(next, request, { opening, open: { owner: 'test', seconds: 60 } });
    await recorder.append(
      next,
      newDraft('contract.response', { ...members, in_reply_to: request.id, from: 'echo_agent', to: 'orchestrator', status: 'completed' }),
    );
    const { items, result } = await session('twice', { at: { seq: 1 } });
    expect(items.map((one) => [one.stream, one.status])).toEqual([
      [stream, 'failed'],
      [next, 'pending'],
    ]);
    expect([result!.earlier, result!.now]).toMatchObject([
      [{ stream, seq: 3, state: 'closed', close_reason: 'idle' }],
      { stream: next, seq: 1 },
    ]);
  });

  it('says of payload that is gone why, or that nothing explains it', async () => {
    const stream = await recorder.session('gone', 2);
    const [answer] = await db.query<{ id: number }>('SELECT id FROM event WHERE stream = $1 AND seq = 4', [stream]);
    await undone(db, async (tx) => {
      await tx.query('DELETE FROM payload WHERE event = $1', [answer!.id]);
      const { items, result } = await told(replaySession(onTransaction(tx), { tenant: 'default', session: 'gone' }));
      expect(items[1]).toMatchObject({
        request: { parameters: {} },
        response: {},
        gone: expect.stringContaining('nothing recorded explains'),
      });
      expect(result!.unexplained).toBe(1);
    });
  });

  it('refuses a session that is not there', async () => {
    await expect(session('nobody')).rejects.toMatchObject({ code: 'not_found' });
    await expect(record('nobody')).rejects.toMatchObject({ code: 'not_found' });
    await expect(session('chat', { tenant: 'acme' })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('record writes a history that checks', async () => {
    for (const name of ['chat', 'twice']) {
      const { items, result } = await record(name);
      const check = new HistoryCheck();
      [...items, { states: result!.states }].forEach((line, i) => {
        check.line(i + 1, JSON.stringify(line));
      });
      expect(check.report()).toMatchObject({ events: result!.events, gone: 0, compared: true, findings: [] });
      expect((await session(name)).result!.now).toEqual(result!.states.at(-1));
    }
    await expectSound(db, { open: 1 });
  });
});

/** Reads within the damage that is undone. */
const onTransaction = (tx: Pick<Database, 'query' | 'named'>) => tx as Database;
