/** What probes and calls say becomes one event for all replicas, and no more than one in its time. */
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentProtocols } from '../../src/agents/agent-protocols.js';
import { AgentStreams } from '../../src/agents/agents.postgres.js';
import { CallSignals } from '../../src/agents/call-signals.system.js';
import { AgentRegistry } from '../../src/agents/directory.js';
import { ProbeWorker } from '../../src/agents/probe.worker.js';
import { RegistryWorker } from '../../src/agents/registry.worker.js';
import { noteFound, watchAfresh } from '../../src/agents/watch.postgres.js';
import { Outgoing } from '../../src/integration/agents/outgoing.client.js';
import { Protocols } from '../../src/integration/agents/protocols.client.js';
import { Appender } from '../../src/ledger/append.worker.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import { describeEachDatabase, describeOnServer, openServerDatabase, type TestDatabase } from '../support/databases.js';
import { type DescribingAgent, startDescribing } from '../support/describing-agent.js';
import { recorded } from '../support/recorded.js';
import { expectSound } from '../support/sound.js';
import { until } from '../support/until.js';

const QUIET_MS = 1500;

/** As one process has it. */
class Replica {
  readonly registry = new AgentRegistry();
  readonly signals: CallSignals;
  readonly reader: RegistryWorker;
  readonly prober: ProbeWorker;
  readonly streams: AgentStreams;

  constructor(
    private readonly db: Database,
    private readonly appender: Appender,
    intervalSeconds: number,
  ) {
    const protocols: AgentProtocols = new Protocols(new Outgoing(['loopback']));
    this.streams = new AgentStreams(db, appender);
    this.signals = new CallSignals(db, this.registry);
    this.reader = new RegistryWorker(db, this.registry, protocols, this.signals);
    const times = { intervalSeconds, lookMs: 50, quietMs: QUIET_MS };
    this.prober = new ProbeWorker(db, this.registry, { streams: this.streams, registry: this.reader }, times);
  }

  async register(agentId: string, endpoint: string): Promise<void> {
    const description = {
      agent_id: agentId,
      name: agentId,
      description: '',
      version: '1.0.0',
      capabilities: [{ name: 'x' }],
      protocol: 'http',
      endpoint,
    };
    const payload = { description, source: { by: 'api', tenant: 'default' } };
    const { state } = await this.streams.write(agentId, () => newDraft('agent.registered', { version: '1.0.0' }, payload));
    await watchAfresh(this.db, agentId, null);
    this.reader.enter(state);
  }

  async start(): Promise<this> {
    await this.reader.start();
    this.prober.start();
    return this;
  }

  async close(): Promise<void> {
    await this.prober.drain();
    await this.reader.drain();
    await this.appender.drain();
  }

  status(agentId: string) {
    return this.registry.get(agentId)?.status;
  }
}

const transitions = async (db: Database, agentId: string) =>
  (await recorded(db, `e.stream = $1 AND e.type = 'agent.health'`, [`default/agent/${agentId}`])).map((e) => ({
    health: e.record['health'],
    at: Date.parse(e.record['time'] as string),
    reason: e.payload['reason'],
  }));

describeEachDatabase('an agent that comes and goes', (open) => {
  let place: TestDatabase;
  let replica: Replica;
  let agent: DescribingAgent;
  beforeAll(async () => {
    place = await open();
    agent = await startDescribing({ '/health': {} });
    replica = await new Replica(place.db, new Appender(place.db), 0.2).start();
    await replica.register('comes', agent.url);
  });
  afterAll(async () => {
    await replica.close();
    await agent.close();
  });

  it('is offline after it failed twice and back by itself, with one event for each, not more often than allowed', async () => {
    await until('it was found well', async () => (await place.db.query(`SELECT 1 FROM agent_watch WHERE status = 'healthy'`)).length === 1);
    expect(await transitions(place.db, 'comes')).toEqual([]);
    await agent.close();
    await until('it is offline', () => replica.status('comes') === 'offline');
    await agent.reopen();
    await until('it is back', () => replica.status('comes') === 'available');
    const [offline, back, ...more] = await transitions(place.db, 'comes');
    expect(more).toEqual([]);
    expect([offline!.health, back!.health, back!.reason]).toEqual(['offline', 'available', undefined]);
    expect(offline!.reason).toMatch(/ECONNREFUSED/);
    expect(back!.at - offline!.at).toBeGreaterThanOrEqual(QUIET_MS - 1);
  });

  it('is in error when three calls in a row got nothing that could be used, and well again after one that did', async () => {
    await sleep(QUIET_MS);
    for (let i = 0; i < 3; i++) replica.signals.ended('comes', 'agent_invalid_response');
    await until('it is in error', () => replica.status('comes') === 'error');
    await sleep(QUIET_MS);
    expect(replica.status('comes')).toBe('error'); // its probes are well, and say nothing about its answers
    replica.signals.ended('comes', null);
    await until('it is well', () => replica.status('comes') === 'available');
    expect((await transitions(place.db, 'comes')).slice(2).map((t) => t.health)).toEqual(['error', 'available']);
  });

  it('is offline when discovery missed it five times, however well its probes are, and back when it is found', async () => {
    const looked = (found: boolean) => noteFound(place.db, [{ agent: 'comes', found }]);
    await sleep(QUIET_MS);
    for (let i = 0; i < 5; i++) await looked(false);
    await until('it is offline', () => replica.status('comes') === 'offline');
    await looked(true);
    await until('it is back', () => replica.status('comes') === 'available');
    const [offline, back] = (await transitions(place.db, 'comes')).slice(-2);
    expect([offline!.health, offline!.reason, back!.health]).toEqual(['offline', expect.stringContaining('5 times'), 'available']);
    await expectSound(place.db);
  });

  it('that never answers does not keep the process from ending', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening));
    const asked = new Promise((connected) => silent.once('connection', connected));
    const other = await new Replica(place.db, new Appender(place.db), 0.2).start();
    await other.register('silent', `http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
    await asked;
    const told = Date.now();
    await other.prober.drain();
    expect(Date.now() - told).toBeLessThan(3000);
    await other.close();
    silent.close();
  });
});

describeOnServer('two replicas that watch the same agents', () => {
  it('ask each once per interval between them, and write each transition once', async () => {
    const place = await openServerDatabase();
    const agents = await Promise.all(Array.from({ length: 5 }, () => startDescribing({ '/health': {} })));
    const replicas = await Promise.all([place.db, await place.another()].map((db) => new Replica(db, new Appender(db), 1).start()));
    try {
      const began = Date.now();
      for (const [i, agent] of agents.entries()) await replicas[0]!.register(`a${i}`, agent.url);
      await until('both know all', () => replicas.every((r) => r.registry.all().length === 5));
      await sleep(3000);
      await until('each was asked again', () => agents.every(({ asked }) => asked.length >= 2));
      const intervals = (Date.now() - began) / 1000;
      for (const { asked } of agents) {
        expect(asked.length).toBeLessThanOrEqual(Math.ceil(intervals) + 1);
      }
      await Promise.all(agents.map((agent) => agent.close()));
      await until('both know that all are offline', () => replicas.every((r) => r.registry.all().every((a) => a.status === 'offline')));
      for (let i = 0; i < agents.length; i++) expect(await transitions(place.db, `a${i}`)).toHaveLength(1);
    } finally {
      for (const replica of replicas) await replica.close();
      for (const agent of agents) await agent.close();
      await expectSound(place.db);
      await place.close();
    }
  });
});
