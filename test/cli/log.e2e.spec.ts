import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseSignerKey, parseVerifierKey, verifierOf } from '../../src/ledger/note.js';
import { running } from '../support/orchestrator.js';
import { anyPlace, emptyPlace, scratchDirectory } from '../support/place.js';
import { endAll, runCommand } from '../support/process.js';

afterAll(endAll);

describe('agent-orchestrator log keygen', () => {
  const keygen = (file: string, ...more: string[]) =>
    runCommand(['log', 'keygen', '--origin', 'example.com/agents', '--file', file, ...more]);

  it('makes a key for its owner alone, shows the public half, and writes over nothing', async () => {
    const file = join(await scratchDirectory(), 'keys', 'log.key');
    const { code, stdout, stderr } = await keygen(file);
    expect([code, stderr]).toEqual([0, `the key is in ${file}; this is its verifier key:\n`]);
    const [secret] = (await readFile(file, 'utf8')).split('\n');
    expect(parseVerifierKey(stdout.trimEnd())).toEqual(verifierOf(parseSignerKey(secret!)));
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await keygen(file)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('has keys already; --add') });
    expect(await readFile(file, 'utf8')).toBe(`${secret}\n`);

    const added = await keygen(file, '--add', '--json');
    const { vkey, origin } = JSON.parse(added.stdout) as { vkey: string; origin: string };
    const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
    expect([lines.length, lines[1], origin]).toEqual([2, secret, 'example.com/agents']);
    expect(verifierOf(parseSignerKey(lines[0]!))).toEqual(parseVerifierKey(vkey));
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('may be the first thing that is done with a data directory', async () => {
    const { settings, drop } = await emptyPlace(false);
    const env = { DATA_DIR: settings.DATA_DIR };
    expect(await runCommand(['log', 'keygen', '--origin', 'example.com/agents'], { env })).toMatchObject({ code: 0 });
    expect(await runCommand(['migrate'], { env })).toMatchObject({ code: 0, stderr: '' });
    await drop();
  }, 60_000);

  it('refuses a name that no log can have', async () => {
    const { code, stdout, stderr } = await runCommand(['log', 'keygen', '--origin', 'two words', '--file', '/nonexistent/log.key']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/"two words" cannot name a key/);
  });
});

describe('agent-orchestrator log', () => {
  const ao = running(anyPlace);

  it('shows name, size and key of a development log that nobody prepared', async () => {
    await ao.post('/v1/orchestrate?wait=published', { session_id: 's', capability: 'echo', parameters: { text: 'x' } }).expect(200);
    const { code, stdout, stderr } = await runCommand(['log', '--url', ao.server.url]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /^agent-orchestrator\.local\/\w{26}: \d+ events, signed 20.*Z\nroot [0-9a-f]{64}\nkey agent-orchestrator\.local\/\w{26}\+/,
    );
    const { keys } = JSON.parse((await runCommand(['log', '--json', '--url', ao.server.url])).stdout) as { keys: { vkey: string }[] };
    expect(keys.map(({ vkey }) => parseVerifierKey(vkey).kind)).toEqual(['signature']);
  });
});
