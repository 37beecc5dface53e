import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { running, until } from '../support/orchestrator.js';
import { anyPlace, scratchDirectory } from '../support/place.js';
import { endAll, type Outcome, runCommand } from '../support/process.js';

afterAll(endAll);

const TASK = { capability: 'echo', parameters: { text: 'Hello, auditor!' } };

describe('a session that was recorded, closed and published', () => {
  let scratch: string;
  let vkey: string;
  let contract: string;
  const app = running(anyPlace, async () => ({ VERIFY_INTERVAL: '10s' }));
  const at = (name: string) => join(scratch, name);
  const exporting = (...args: string[]): Promise<Outcome> => runCommand(['export', ...args, '--url', app.server.url]);
  const checking = (...args: string[]): Promise<Outcome> => runCommand(['verify-bundle', ...args]);

  beforeAll(async () => {
    scratch = await scratchDirectory();
    for (let i = 0; i < 3; i++) ({ contract_id: contract } = await app.orchestrate({ session_id: 'evidence', ...TASK }));
    await app.post('/v1/sessions/evidence/close').expect(200);
    const [{ n }] = (await app.db.query<{ n: number }>('SELECT count(*) AS n FROM event')) as [{ n: number }];
    await until(
      'all of it is published',
      async () => ((await app.db.query<{ size: number }>('SELECT max(size) AS size FROM checkpoint'))[0]?.size ?? 0) >= n,
    );
    [{ vkey }] = (await app.db.query<{ vkey: string }>('SELECT vkey FROM log_key')) as [{ vkey: string }];
  });

  it('is exported through its server, and checked offline with the key of the log', async () => {
    const { code, stdout } = await exporting('session', 'evidence', '-o', at('evidence.tar.gz'));
    expect([code, stdout]).toEqual([0, expect.stringMatching(/evidence\.tar\.gz: 7 records, \d+ disclosures, 2 proofs\n$/)]);
    expect(await readdir(scratch)).toEqual(['evidence.tar.gz']);
    const checked = await checking(at('evidence.tar.gz'), '--key', vkey, '--anchored');
    expect([checked.code, checked.stdout.trimEnd().split('\n').at(-1)]).toEqual([0, 'VALID']);
    const unanchored = await checking(at('evidence.tar.gz'), '--anchored');
    expect([unanchored.code, unanchored.stdout.trimEnd().split('\n').at(-1)]).toEqual([5, expect.stringMatching(/^UNANCHORED/)]);
  });

  it('is exported into a directory, from which somebody takes a word', async () => {
    expect(await exporting('session', 'evidence', '-o', at('bundle'), '--only', 'parameters,result', '--json')).toMatchObject({ code: 0 });
    const disclosures = join(at('bundle'), 'disclosures.ndjson');
    await writeFile(disclosures, (await readFile(disclosures, 'utf8')).replace('Hello', 'Howdy'));
    const { code, stdout } = await checking(at('bundle'), '--json');
    expect([code, JSON.parse(stdout)]).toEqual([2, expect.objectContaining({ verdict: 'invalid', scope: 'bundle' })]);
  });

  it('is exported in the formats of others', async () => {
    const spans = await exporting('contract', contract, '--format', 'otlp');
    expect(JSON.parse(spans.stdout)).toMatchObject({ resourceSpans: [{ scopeSpans: [{ spans: [{ status: { code: 1 } }] }] }] });
    const { privateKey } = generateKeyPairSync('ed25519');
    await writeFile(at('key.pem'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
    expect(
      (await exporting('range', '0', '99', '--format', 'in-toto', '--signing-key', at('key.pem'), '-o', at('statement.json'))).code,
    ).toBe(0);
    expect(JSON.parse(await readFile(at('statement.json'), 'utf8'))).toMatchObject({ payloadType: 'application/vnd.in-toto+json' });
  });

  it('is refused with a reason, and nothing is left behind', async () => {
    const nobody = await exporting('session', 'nobody', '-o', at('nobody'));
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining('has no session "nobody"')]);
    const again = await exporting('session', 'evidence', '-o', at('evidence.tar.gz'));
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('exists already')]);
    const aimless = await exporting('session', 'evidence');
    expect([aimless.code, aimless.stderr]).toEqual([1, expect.stringContaining('needs --output')]);
    const nothing = await checking(at('nothing'));
    expect([nothing.code, nothing.stderr]).toEqual([1, expect.stringContaining('there is no bundle')]);
    expect((await readdir(scratch)).filter((name) => /nobody|partial/.test(name))).toEqual([]);
    expect(existsSync(at('evidence.tar.gz.bundle'))).toBe(false);
  });

  it('is verified by its server every so often, and health and status know what was found', async () => {
    const health = async () => (await app.get('/v1/health').expect(200)).body.status as string;
    await until('it has looked', async () => (await app.get('/v1/status')).body.self_check.status === 'valid');
    expect(await health()).toBe('healthy');
    await app.db.query(`UPDATE payload SET bytes = bytes || ' ' WHERE name = 'result'`);
    await app.db.query(`UPDATE self_check SET due_at = '-infinity'`);
    await until('it has found it', async () => (await health()) === 'degraded');
    const { self_check, orchestrator } = (await app.get('/v1/status')).body;
    expect([orchestrator.status, self_check]).toMatchObject([
      'degraded',
      { status: 'invalid', sound: false, found: expect.any(Number), first: expect.stringContaining('payload') },
    ]);
    await app.db.query(`UPDATE payload SET bytes = substring(bytes from 1 for octet_length(bytes) - 1) WHERE name = 'result'`);
    await app.db.query(`UPDATE self_check SET due_at = '-infinity'`);
    await until('it is content', async () => (await health()) === 'healthy');
  });
});
