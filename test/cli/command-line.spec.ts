import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyPlace, scratchDirectory } from '../support/place.js';
import { endAll, runCommand } from '../support/process.js';

const COMMANDS = ['serve', 'demo', 'orchestrate', 'contracts', 'agents', 'log', 'verify', 'replay', 'migrate'];

afterAll(endAll);

describe('agent-orchestrator', () => {
  it('says what there is when nothing is asked', async () => {
    const asked = await runCommand([]);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    for (const command of COMMANDS) expect(asked.stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    expect(await runCommand(['--help'])).toEqual(asked);
  });

  it('says its version', async () => {
    const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string };
    expect(await runCommand(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each(COMMANDS)('%s --help teaches examples and exit codes', async (command) => {
    const { code, stdout, stderr } = await runCommand([command, '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Exit codes: 0 /m);
    if (command !== 'migrate') expect(stdout).toMatch(new RegExp(`^Examples:\\n(.*\\n)*?.*agent-orchestrator ${command}`, 'm'));
  });

  it.each<[string, string[], RegExp]>([
    ['an unknown command', ['contarcts'], /unknown command 'contarcts'\n\(Did you mean contracts\?\)/],
    ['an unknown option', ['contracts', 'x', '--folow'], /unknown option '--folow'\n\(Did you mean --follow\?\)/],
    ['a missing argument', ['contracts'], /missing required argument 'session'/],
    ['a missing option', ['orchestrate', 'text=x'], /required option '-s, --session <id>' not specified/],
    ['one argument too many', ['verify', 'first'], /too many arguments/],
    ['a count that is none', ['contracts', 'x', '--limit', '-3'], /'-3' is invalid. It must be a whole number/],
    ['a time that is none', ['orchestrate', '-s', 'x', '--timeout', 'soon'], /'soon' is invalid. It must be a number of seconds/],
  ])('%s is a usage error with a hint', async (_, args, says) => {
    const { code, stdout, stderr } = await runCommand(args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(says);
    expect(stderr).toContain('(agent-orchestrator --help shows what there is)');
  });

  it.each<[string, string[], RegExp]>([
    ['no capability and no agent', ['orchestrate', '-s', 'x', 'text=x'], /--capability or --message, or who is to do it with --agent/],
    ['no parameter', ['orchestrate', '-s', 'x', '-c', 'echo', 'hello'], /"hello" is no parameter/],
    ['stdin twice', ['orchestrate', '-s', 'x', '-c', 'echo', '-p', '-', '--context', '-'], /not both/],
    ['a file that is not there', ['orchestrate', '-s', 'x', '-c', 'echo', '-p', '@nowhere.json'], /nowhere.json cannot be read: ENOENT/],
    ['an address that is none', ['contracts', 'x', '--url', 'ftp://x'], /--url must be a URL like http/],
    ['a token that cannot be sent', ['contracts', 'x', '--token', 'a\nb'], /--token must be a bearer token/],
  ])('%s is refused before anything is sent', async (_, args, says) => {
    const { code, stdout, stderr } = await runCommand(args, { env: { ORCHESTRATOR_URL: 'http://127.0.0.1:1' } });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/\n +at /);
  });

  it('refuses settings that are none, without their secrets', async () => {
    const { code, stderr } = await runCommand(['contracts', 'x'], {
      env: { ORCHESTRATOR_URL: 'hunter2', ORCHESTRATOR_TOKEN: 'two words' },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/ORCHESTRATOR_URL=…: must be a URL like .*ORCHESTRATOR_TOKEN=…: must be a bearer token/);
    expect(stderr).not.toMatch(/hunter2|two words/);
  });

  it('colours what is wrong only where it is wanted', async () => {
    const wrong = (env: Record<string, string>) => runCommand(['orchestrate', '-s', 'x'], { env });
    expect((await wrong({ FORCE_COLOR: '1' })).stderr).toContain('\x1b[31magent-orchestrator\x1b[39m: ');
    expect((await wrong({ FORCE_COLOR: '1', NO_COLOR: '1' })).stderr).not.toContain('\x1b');
    expect((await wrong({})).stderr).not.toContain('\x1b');
  });
});

describe('the ledger on disk', () => {
  it('is brought up to date by migrate, once, and verified while nobody holds it', async () => {
    const place = await emptyPlace(false);
    const env = { DATA_DIR: place.settings.DATA_DIR };
    const first = await runCommand(['migrate', '--json'], { env });
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({ migrated: expect.arrayContaining(['0001-ledger.sql']) });
    expect(await runCommand(['migrate'], { env })).toEqual({ code: 0, stdout: 'nothing to do, the schema is up to date\n', stderr: '' });
    const { code, stdout } = await runCommand(['verify', '--json'], { env });
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ verdict: 'valid', events: 0 })]);
    await place.drop();
  }, 60_000);

  it('is not made by verify', async () => {
    const directory = join(await scratchDirectory(), 'none');
    const { code, stderr } = await runCommand(['verify'], { env: { DATA_DIR: directory } });
    expect([code, stderr]).toEqual([1, expect.stringContaining(`there is no ledger at ${directory}; set DATA_DIR or DATABASE_URL`)]);
  });
});
