import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replayCommand } from '../../src/cli/replay.cli.js';
import { runHere } from '../support/command.js';
import { running, settled } from '../support/orchestrator.js';
import { agentsFile, describeEachPlace, EXAMPLE, type Place, scratchDirectory } from '../support/place.js';
import { endAll, type Outcome, runCommand } from '../support/process.js';

const FICKLE = { module: join(__dirname, '../support/agents/fickle.js') };
const SECRET = 'for-your-eyes-only';

afterAll(endAll);

/** On PostgreSQL the commands open the database; the embedded one is held by the server, which they ask. */
describeEachPlace('agent-orchestrator replay', (make) => {
  let place: Place;
  const app = running(
    async () => {
      place = await make();
      return place;
    },
    async () => ({ AGENTS_FILE: await agentsFile([EXAMPLE, FICKLE]) }),
  );
  const replay = (...args: string[]): Promise<Outcome> => runHere(replayCommand, args, { ...place.settings });
  const live = (...args: string[]) => replay('live', ...args, '--url', app.server.url, '--rate', '100');
  const ask = (session_id: string, capability: string, parameters: object = {}) => app.orchestrate({ session_id, capability, parameters });

  beforeAll(async () => {
    await ask('first', 'echo', { text: 'Hello' });
    await ask('first', 'counts');
    await ask('first', 'once');
    await ask('first', 'pays');
    await ask('first', 'sings');
  });

  it('runs as a command of its own', async () => {
    const env = place.settings as Record<string, string>;
    expect(await runCommand(['replay', 'session', 'first', '--at', '1'], { env })).toMatchObject({
      ...{ code: 0, stderr: '', stdout: expect.stringContaining('Session first after seq 1: open') },
    });
    expect((await runCommand(['replay', 'session', 'nobody'], { env })).code).toBe(5);
  });

  it('views are the same, or are named, or are put right', async () => {
    await settled(app.db);
    const same = await replay('views');
    expect(same).toMatchObject({ code: 0, stderr: '' });
    expect(same.stdout).toMatch(
      /^Source: valid, 1\d events verified\n {8}ledger of 1\d events, head [0-9a-f]{64}\n {8}(?:no signed checkpoint|checkpoint \S+ \d+ \S+)\n\n {2}contract_tally +\d+ rows, 0 differ\n {2}session_tally +1 rows, 0 differ\n\nTHE SAME at idx 1\d\n$/,
    );
    await app.db.query(`UPDATE contract_tally SET n = 5 WHERE capability = 'echo' AND status = 'completed'`);
    const { code, stdout } = await replay('views', '--no-verify');
    expect([code, stdout]).toEqual([
      3,
      expect.stringMatching(
        /not verified(.*\n)*.*default · agent_example_001 · echo · completed: live 5, rebuilt 1\n(.*\n)*DIFFERENT: 1 rows at idx/,
      ),
    ]);
    const applied = await replay('views', '--apply', '--json');
    expect([applied.code, JSON.parse(applied.stdout)]).toEqual([
      0,
      expect.objectContaining({
        applied: true,
        differing: 1,
        exit_code: 0,
        differences: [expect.objectContaining({ live: 5, rebuilt: 1 })],
      }),
    ]);
    expect((await replay('views', '--json')).code).toBe(0);
  });

  it('session shows what was known at a point, and nothing of what came later', async () => {
    const then = await replay('session', 'first', '--at', '3');
    expect(then).toMatchObject({ code: 0, stderr: '' });
    expect(then.stdout).toMatch(
      /seq 1 {2}echo → agent_example_001 {2}completed after \d+ ms .*\n {2}parameters \{"text":"Hello"\}\n {2}result +\{"message":"Echo: Hello"\}\nseq 3 {2}counts → fickle {2}pending /,
    );
    expect(then.stdout).toMatch(/Session first after seq 3: open\n(.*\n)* {2}contracts {2}2 in 2 tasks: 1 completed, 1 pending\n/);
    expect(then.stdout).not.toContain('"n":1');
    const { code, stdout } = await replay('session', 'first', '--json');
    const now = JSON.parse(stdout);
    expect([code, now]).toEqual([0, expect.objectContaining({ source: expect.objectContaining({ verdict: 'valid' }), unexplained: 0 })]);
    expect(now.contracts.map((one: { capability: string; status: string }) => `${one.capability} ${one.status}`)).toEqual([
      'echo completed',
      'counts completed',
      'once completed',
      'pays completed',
      'null failed',
    ]);
    expect(await replay('session', 'nobody')).toMatchObject({
      code: 5,
      stdout: '',
      stderr: expect.stringContaining('no session "nobody"'),
    });
    expect(await replay('session', 'first', '--at', 'yesterday')).toMatchObject({ code: 1, stderr: expect.stringContaining('ISO 8601') });
    expect((await replay('session', 'first', '--at', '99')).code).toBe(1);
  });

  it('live plans, and sends nothing', async () => {
    const { code, stdout } = await live('first');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /planned +seq 1 {2}echo → agent_example_001\nplanned +seq 3 {2}counts → fickle\nplanned +seq 5 {2}once → fickle\nskipped +seq 7 {2}pays → fickle: "pays" of fickle is not marked replay_safe \(--unsafe sends it\)\nskipped +seq 9 {2}- → nobody: nobody was asked then\n\n2 skipped, 3 planned\nonly a plan: --execute makes these 3 calls\n$/,
    );
    expect((await app.get('/v1/sessions')).body.sessions).toHaveLength(1);
  });

  it('live --execute sends what may be sent, compares, and leaves a record that names what it repeats', async () => {
    const { code, stdout } = await live('first', '--execute', '--json');
    const told = JSON.parse(stdout);
    expect(code).toBe(3);
    expect(told).toMatchObject({
      ...{ executed: true, calls: 3, exit_code: 3, into: expect.stringMatching(/^replay-\w{26}$/) },
      counts: { identical: 1, equivalent: 0, changed: 1, failed: 1, skipped: 2 },
      contracts: [
        { outcome: 'identical', changes: [] },
        { outcome: 'changed', changes: [{ path: '/result/n', was: 1, is: 2 }] },
        { outcome: 'failed', why: 'agent_failed: only once' },
        { outcome: 'skipped', replay: null },
        { outcome: 'skipped', replay: null },
      ],
    });
    const replayed = await replay('session', told.into, '--json');
    expect(JSON.parse(replayed.stdout).contracts.map((one: { replay_of: string }) => one.replay_of)).toEqual(
      told.contracts.slice(0, 3).map((one: { contract_id: string }) => one.contract_id),
    );
    expect((await app.get('/v1/sessions/first')).body.events).toBe(10);
  });

  it('live compares as it is told, sends what is unsafe only when it is told, and no more than it may', async () => {
    const shaped = await live('first', '--execute', '--compare', 'shape', '--compare', 'once=exact', '--max', '2', '--into', 'wieder über');
    expect(shaped.code).toBe(4);
    expect(shaped.stdout).toMatch(
      /equivalent +seq 3 {2}counts → fickle: by shape\n {2}\/result\/n: 1 → 3\nskipped +seq 5 .*more than 2 calls \(--max\)\n/,
    );
    expect(shaped.stdout).toMatch(/1 identical, 1 equivalent, 3 skipped\nrecorded in session wieder über: /);
    const repeated = await live('first', '--execute', '--max', '2', '--into', 'wieder über');
    expect(repeated.stdout).toMatch(/changed +seq 3 {2}counts → fickle\n {2}\/result\/n: 1 → 4\n/);
    const again = await live('first', '--execute', '--unsafe', '--compare', 'schema', '--compare', 'pays=shape', '--json');
    expect(JSON.parse(again.stdout).contracts.map((one: { outcome: string; by: string }) => [one.outcome, one.by])).toEqual([
      ['identical', null],
      ['equivalent', 'schema'],
      ['failed', null],
      ['equivalent', 'shape'],
      ['skipped', null],
    ]);
    expect(await live('first', '--compare', 'roughly')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('It must be one of exact'),
    });
    expect(await live('nobody')).toMatchObject({ code: 5, stdout: '' });
  });

  it('a task may say only of its own tenant’s recorded requests that it repeats them', async () => {
    const body = { session_id: 'x', capability: 'echo', parameters: { text: 'x' } };
    await app.post('/v1/orchestrate', { ...body, replay_of: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }).expect(404);
    const { contract_id } = await app.orchestrate(body);
    const [, response] = (await app.get(`/v1/contracts?session_id=x`)).body.contracts;
    await app.post('/v1/orchestrate', { ...body, replay_of: response.contract_id }).expect(404);
    const repeated = await app.orchestrate({ ...body, replay_of: contract_id });
    const { body: shown } = await app.get(`/v1/contracts/${repeated.contract_id}`);
    expect([shown.request.replay_of, shown.response.replay_of]).toEqual([contract_id, null]);
    await app.post('/v1/orchestrate', { ...body, replay_of: 'my free text' }).expect(400);
  });

  it('record writes a history, and check finds it the same, changed, or damaged', async () => {
    await ask('kept', 'echo', { text: SECRET });
    const recorded = await replay('record', 'kept');
    expect([recorded.code, recorded.stderr]).toEqual([0, expect.stringMatching(/^Source: valid, 2 events verified\n/)]);
    const directory = await scratchDirectory();
    const file = async (name: string, text: string) => {
      await writeFile(join(directory, name), text);
      return join(directory, name);
    };
    const same = await file('same.jsonl', recorded.stdout);
    expect(await readFile(same, 'utf8')).toContain(SECRET);
    expect(await replay('check', same)).toEqual({
      ...{ code: 0, stderr: '' },
      stdout: `THE SAME  ${same}: 2 events in 1 streams, 5 disclosures\n`,
    });
    const damaged = await file('damaged.jsonl', recorded.stdout.replace('completed', 'cancelled'));
    const meant = await file('meant.jsonl', recorded.stdout.replace(/"tasks":1/, '"tasks":2'));
    const cut = await file('cut.jsonl', recorded.stdout.split('\n').slice(0, 2).join('\n'));
    const [bad, other, short] = [await replay('check', damaged), await replay('check', meant), await replay('check', cut)];
    expect([bad.code, bad.stdout]).toEqual([
      2,
      expect.stringMatching(/^INVALID .*\n(.*\n)* {2}line 2 \(invalid\): the record would be|hashes to/),
    ]);
    expect([other.code, other.stdout]).toEqual([
      3,
      expect.stringMatching(/^DIFFERENT .*\n {2}line 3 \(changed\): .*: tasks was 2, is 1\n$/),
    ]);
    expect([short.code, short.stdout]).toEqual([4, expect.stringMatching(/^INCOMPLETE .*\n {2}what it means is not checked/)]);
    const all = await replay('check', same, damaged, meant, '--json');
    expect([all.code, JSON.parse(all.stdout).files.length]).toEqual([2, 3]);
    expect(await replay('check', join(directory, 'none'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot be read: ENOENT'),
    });
  });

  it('what is erased is shown with its reason, is not sent again, and is left out of a history', async () => {
    const kept = await ask('wiped', 'echo', { text: SECRET });
    await ask('wiped', 'echo', { text: 'stays' });
    const erasure = { contracts: [kept.contract_id], basis: 'Art. 17', requested_by: 'dpo' };
    await app.post('/v1/sessions/wiped/erase', erasure).expect(200);
    const shown = await replay('session', 'wiped');
    expect([shown.code, shown.stdout]).toEqual([
      0,
      expect.stringMatching(/seq 1 .*completed.*\n {2}erased at \S+ \(\w{26}\): Art\. 17\nseq 3 /),
    ]);
    const sent = await live('wiped', '--execute');
    expect([sent.code, sent.stdout]).toEqual([4, expect.stringMatching(/skipped +seq 1 .*its payload is erased at .*\nidentical +seq 3 /)]);
    const { code, stdout } = await replay('record', 'wiped');
    expect([code, stdout]).toEqual([0, expect.stringContaining('"gone":"erased at')]);
    const history = join(await scratchDirectory(), 'wiped.jsonl');
    await writeFile(history, stdout);
    const checked = await replay('check', history);
    expect([checked.code, checked.stdout]).toEqual([
      0,
      expect.stringMatching(/^THE SAME .*\n {2}\d disclosures were gone when it was written/),
    ]);
    for (const { stdout: told } of [shown, sent, checked]) expect(told).not.toContain(SECRET);
    expect(stdout).not.toContain(SECRET);
  });

  it('nothing is replayed of a session whose record was changed', async () => {
    await ask('forged', 'echo', { text: 'x' });
    await settled(app.db); // or the views would count what was forged
    const forge = (status: string) =>
      app.db.transaction(async (tx) => {
        await tx.query('ALTER TABLE event DISABLE TRIGGER USER');
        await tx.query(
          `UPDATE event SET status = $1 WHERE type = 'contract.response' AND stream = (SELECT stream FROM session WHERE name = 'forged')`,
          [status],
        );
        await tx.query('ALTER TABLE event ENABLE TRIGGER USER');
      });
    await forge('failed');
    try {
      for (const args of [['session', 'forged'], ['session', 'forged', '--json'], ['record', 'forged'], ['views']]) {
        const { code, stdout, stderr } = await replay(...args);
        expect([args, code, stdout + stderr]).toEqual([args, 2, expect.stringMatching(/invalid/)]);
        expect(stdout).not.toContain('Echo');
      }
      expect(await live('forged', '--execute')).toMatchObject({ code: 2, stdout: expect.stringContaining('nothing is replayed') });
    } finally {
      await forge('completed');
    }
  });
});

it.each([[], ['views'], ['session'], ['decisions'], ['live'], ['record'], ['check']])(
  'replay %s --help teaches examples and exit codes',
  async (...args) => {
    const { code, stdout } = await runCommand(['replay', ...args, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Examples:\n(.*\n)*?.*agent-orchestrator replay /m);
    expect(stdout).toMatch(/^Exit codes: 0 /m);
  },
);
