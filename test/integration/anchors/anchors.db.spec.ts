import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { DirectoryAnchor } from '../../../src/integration/anchors/directory.system.js';
import { WebhookAnchor } from '../../../src/integration/anchors/webhook.client.js';
import { WitnessAnchor } from '../../../src/integration/anchors/witness.client.js';
import type { Anchor } from '../../../src/ledger/anchor.js';
import { anchors } from '../../../src/ledger/anchors.postgres.js';
import { Anchors } from '../../../src/ledger/anchors.worker.js';
import { Appender } from '../../../src/ledger/append.worker.js';
import { openCheckpoint } from '../../../src/ledger/checkpoint.js';
import { newestCheckpoint, witnessedCheckpoint } from '../../../src/ledger/checkpoint.postgres.js';
import type { Database } from '../../../src/ledger/database.postgres.js';
import { LogEpochs } from '../../../src/ledger/log-epoch.postgres.js';
import { signerKey, verifierOf } from '../../../src/ledger/note.js';
import { signedNote } from '../../../src/ledger/proofs.postgres.js';
import { Sequencer } from '../../../src/ledger/sequence.worker.js';
import { CheckpointSigner } from '../../../src/ledger/signer.postgres.js';
import { describeOnServer, openServerDatabase, type TestDatabase } from '../../support/databases.js';
import { contractIntent, newStream } from '../../support/intents.js';
import { expectSound } from '../../support/sound.js';
import { itWith } from '../../support/tools.js';
import { Witness } from '../../support/witness.js';

const KEY = signerKey('example.com/log', Buffer.alloc(32, 1));

/** Not due to one kind of database: what is kept outside is the same. */
describeOnServer('anchors', () => {
  let database: TestDatabase;
  let db: Database;
  let directory: string;

  beforeAll(async () => {
    database = await openServerDatabase();
    db = database.db;
    directory = await mkdtemp(join(tmpdir(), 'ao-anchor-'));
  });
  afterAll(async () => {
    await expectSound(db);
    await database.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** One more contract, and a checkpoint that has it. */
  async function publish(): Promise<{ size: number; note: string }> {
    await new Appender(db).append(contractIntent(newStream()));
    await new Sequencer(db).drain();
    await new CheckpointSigner(
      db,
      new LogEpochs(db, new Appender(db), { wanted: undefined, keys: [KEY], keyFile: '' }, null),
      [KEY],
      null,
    ).sign(0);
    return (await newestCheckpoint(db))!;
  }

  /** Whatever pause a failure asked for is over. */
  async function look(worker: Anchors): Promise<void> {
    await db.query(`UPDATE anchor SET due_at = '-infinity'`);
    await worker.look();
    expect(worker.status()['last_error']).toBeNull();
  }

  const workerOf = (...kept: Anchor[]) => new Anchors(db, kept, 60);
  const stateOf = async (anchor: Anchor) => (await anchors(db)).find(({ name }) => name === anchor.name);

  it('keep every checkpoint they get, each once, one replica at a time', async () => {
    const anchor = new DirectoryAnchor(directory);
    const replicas = [workerOf(anchor), workerOf(anchor)];
    const { size, note } = await publish();
    await Promise.all(replicas.map((each) => each.look()));
    const counts = replicas.map((each) => each.status()['anchored']);
    expect(counts.sort()).toEqual([0, 1]);
    expect(await readFile(join(directory, 'example.com%2Flog', `${String(size).padStart(20, '0')}.checkpoint`), 'utf8')).toBe(note);
    expect(await stateOf(anchor)).toMatchObject({ origin: 'example.com/log', size, tries: 0, error: null });
    await publish();
    await replicas[0]!.look(); // its interval is not over
    expect(await stateOf(anchor)).toMatchObject({ size });
    for (const each of replicas) await each.drain();
  });

  itWith('git')('that are git repositories have a commit for each, and push it', async () => {
    const [repository, remote] = [join(directory, 'repository'), join(directory, 'remote')];
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    execFileSync('git', ['init', '--quiet', '--bare', remote]);
    execFileSync('git', ['init', '--quiet', '--initial-branch', 'main', repository]);
    for (const setting of ['user.name=ao', 'user.email=ao@example.com', 'push.autoSetupRemote=true', 'commit.gpgsign=false']) {
      git('config', ...(setting.split('=') as [string, string]));
    }
    const worker = workerOf(new DirectoryAnchor(repository));
    const first = await publish();
    await look(worker);
    git('remote', 'add', 'origin', remote);
    const second = await publish();
    await look(worker);
    expect(git('log', '--format=%s').trim().split('\n')).toEqual([`example.com/log ${second.size}`, `example.com/log ${first.size}`]);
    expect(git('ls-remote', 'origin', 'main').split('\t')[0]).toBe(git('rev-parse', 'HEAD').trim());
    git('remote', 'set-url', 'origin', join(directory, 'gone'));
    await publish();
    await look(worker);
    expect((await anchors(db)).find(({ name }) => name.endsWith('/repository'))).toMatchObject({
      size: second.size,
      tries: 1,
      error: expect.stringMatching(/^git push in .*gone/s),
    });
    await worker.drain();
  });

  it('that are away get the newest when they are back', async () => {
    const heard: string[] = [];
    let status = 500;
    const server = createServer((request, response) => {
      void text(request).then((body) => {
        heard.push(body);
        response.writeHead(status).end();
      });
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const anchor = new WebhookAnchor(`http://me:secret@127.0.0.1:${port}/hook?token=secret`);
    const worker = workerOf(anchor);
    expect(anchor.name).toBe(`webhook http://127.0.0.1:${port}/hook`);
    try {
      await publish();
      await look(worker);
      expect(await stateOf(anchor)).toMatchObject({ size: null, tries: 1, error: expect.stringContaining('answered HTTP 500') });
      await worker.look(); // not before its pause is over
      expect(heard).toHaveLength(1);
      const { note, size } = await publish();
      status = 204;
      await look(worker);
      expect([heard.length, heard[1]]).toEqual([2, note]);
      expect(await stateOf(anchor)).toMatchObject({ size, tries: 0, error: null });
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
      await publish();
      await look(worker);
      expect(await stateOf(anchor)).toMatchObject({
        size,
        tries: 1,
        error: expect.stringMatching(/\/hook does not answer: .*ECONNREFUSED/),
      });
      expect(JSON.stringify(await anchors(db))).not.toContain('secret');
    } finally {
      await worker.drain();
      server.close();
    }
  });

  describe('that are witnesses', () => {
    let witness: Witness;
    beforeAll(async () => {
      witness = await new Witness(signerKey('witness.example/w1', Buffer.alloc(32, 9)), [verifierOf(KEY)]).open();
    });
    afterAll(() => witness.close());

    it('cosign what goes on from what they saw, and the cosignature is kept with the checkpoint', async () => {
      const anchor = new WitnessAnchor(witness.key, witness.url);
      const worker = workerOf(anchor);
      await publish();
      await look(worker);
      const { size } = await publish();
      await look(worker);
      expect(witness.answered).toEqual([200, 200]);
      expect(witness.heard[0]).toMatch(/^old 0\n\nexample.com\/log\n/);
      const found = (await witnessedCheckpoint(db))!;
      expect(found.size).toBe(size);
      const opened = openCheckpoint(signedNote(found), [verifierOf(KEY), witness.key]);
      expect(opened.signers).toEqual([verifierOf(KEY), witness.key]);
      await worker.drain();
    });

    it('are asked what they have seen by an orchestrator that does not know', async () => {
      const worker = workerOf(new WitnessAnchor(witness.key, `${witness.url}/`));
      await db.query(`DELETE FROM anchor`);
      await publish();
      await look(worker);
      expect(witness.answered.slice(-2)).toEqual([409, 200]);
      await worker.drain();
    });

    it('that have seen more, or something else, are a sign that the database was set back', async () => {
      const anchor = new WitnessAnchor(witness.key, witness.url);
      const worker = workerOf(anchor);
      const { last } = witness;
      witness.last = { ...last, size: 1000n };
      await publish();
      await look(worker);
      expect(await stateOf(anchor)).toMatchObject({
        error: expect.stringMatching(/has seen example.com\/log with 1000 events, and this ledger has \d+: it was set back/),
      });
      witness.last = { ...last, root: Buffer.alloc(32) };
      await look(worker);
      expect(await stateOf(anchor)).toMatchObject({
        error: expect.stringMatching(/with other events than this ledger has: it was set back and went on \(HTTP 422\)/),
      });
      witness.last = last;
      await look(worker);
      expect(await stateOf(anchor)).toMatchObject({ error: null });
      await worker.drain();
    });

    it.each<[string, (said: string) => string]>([
      ['nothing', () => ''],
      ['another’s signature alone', () => '— stranger.example AAAAAAAAAAAAAAAA\n'],
      ['a bad signature', (said) => witness.cosign(`${said}x`)],
    ])('that answer with %s have vouched for nothing', async (_what, answer) => {
      const anchor = new WitnessAnchor(witness.key, witness.url);
      const worker = workerOf(anchor);
      const { note, size } = await publish();
      witness.instead = { status: 200, text: answer(note.slice(0, note.indexOf('\n\n') + 1)) };
      await look(worker);
      witness.instead = null;
      expect(await stateOf(anchor)).toMatchObject({ error: expect.stringMatching(/signature/) });
      expect((await witnessedCheckpoint(db))!.size).toBeLessThan(size);
      await worker.drain();
    });
  });
});
