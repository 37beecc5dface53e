import { readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { programOf } from '../../src/cli/program.cli.js';
import { describeOnServer } from '../support/databases.js';
import { emptyPlace, scratchDirectory } from '../support/place.js';
import { endAll, runCommand } from '../support/process.js';

/** Answers with nothing but lines of JSON anyhow, or with its log (LOG_FORMAT). */
const WITHOUT_JSON = ['replay record', 'serve'];
/** Called in one way only. */
const SELF_EVIDENT = ['migrate'];

/** Every command with what it does itself below it, by the words that call it. */
function* leavesOf(command: Command, path: readonly string[] = []): Generator<[string, Command]> {
  const below = command.commands.filter((one) => one.name() !== 'help');
  if (below.length === 0) yield [path.join(' '), command];
  for (const one of below) yield* leavesOf(one, [...path, one.name()]);
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (more) => (text += more) }).outputHelp();
  return text;
}

const program = programOf({ ...process, stdin: process.stdin } as never, 'cli.js', () => {
  throw new Error('nobody starts a server here');
});

afterAll(endAll);

describe('agent-orchestrator', () => {
  it('can be executed after every build: npx starts the file itself, and makes it executable only the first time', () => {
    expect(statSync(join(__dirname, '../../dist/cli.js')).mode & 0o111).toBe(0o111);
  });

  it('says what there is when nothing is asked', async () => {
    const asked = await runCommand([]);
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    for (const command of program.commands) expect(asked.stdout).toMatch(new RegExp(`^  ${command.name()} `, 'm'));
    expect(await runCommand(['--help'])).toEqual(asked);
  });

  it('says its version', async () => {
    const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string };
    expect(await runCommand(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([...leavesOf(program)])(
    '%s --help says what it does, tells its exit codes, and has --json unless it needs none',
    (name, command) => {
      const help = helpOf(command);
      expect(help).toMatch(/^Exit codes: 0 /m);
      expect([name, /^ +--json /m.test(help)]).toEqual([name, !WITHOUT_JSON.includes(name)]);
    },
  );

  it.each(
    program.commands.filter((command) => !SELF_EVIDENT.includes(command.name())).map((command) => [command.name(), command] as const),
  )('%s --help teaches by examples', (name, command) => {
    const help = [command, ...command.commands].map(helpOf).join('\n');
    expect(help).toMatch(new RegExp(`^Examples:\\n(.*\\n)*?.*agent-orchestrator ${name}`, 'm'));
  });

  it('shows that help on the command line, without a word on stderr', async () => {
    const { code, stdout, stderr } = await runCommand(['replay', 'live', '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Usage: agent-orchestrator replay live(.*\n)*Exit codes: 0 /);
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

  it.each<[string, string[], RegExp]>([
    ['a checkpoint', ['verify', '--known', 'nowhere'], /ENOENT.*'nowhere'/],
    ['a checkpoint, to export', ['export', 'session', 'x', '-o', 'out', '--known', 'nowhere'], /ENOENT.*'nowhere'/],
    ['a bundle', ['verify-bundle', 'nowhere'], /nowhere/],
    ['a history', ['replay', 'check', 'nowhere'], /nowhere cannot be read: ENOENT/],
    ['a place to go on from', ['verify', '--resume', '/'], /there is no ledger|EISDIR/],
  ])('%s that cannot be read is told by its name, without a stack', async (_, args, says) => {
    const { code, stdout, stderr } = await runCommand(args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/\n +at /);
  });

  it('says that .env cannot be read, without a stack; the help is there all the same', async () => {
    const cwd = await scratchDirectory();
    await mkdir(join(cwd, '.env'));
    const { code, stderr } = await runCommand(['contracts', 'x'], { cwd });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^agent-orchestrator: the settings in \.env cannot be read: .*EISDIR.*\n$/)]);
    expect(await runCommand(['contracts', '--help'], { cwd })).toMatchObject({ code: 0 });
    const started = await runCommand(['serve'], { cwd });
    expect([started.code, started.stderr]).toEqual([
      1,
      expect.stringMatching(/^(cannot start|agent-orchestrator): the settings in \.env cannot/),
    ]);
  });

  it('reads .env, and the environment goes before it', async () => {
    const cwd = await scratchDirectory();
    await writeFile(join(cwd, '.env'), 'ORCHESTRATOR_URL=http://127.0.0.1:1\n');
    expect((await runCommand(['contracts', 'x'], { cwd })).stderr).toContain('nothing answers at http://127.0.0.1:1 (ORCHESTRATOR_URL');
    const env = { ORCHESTRATOR_URL: 'http://127.0.0.1:2' };
    expect((await runCommand(['contracts', 'x'], { cwd, env })).stderr).toContain('nothing answers at http://127.0.0.1:2');
  });

  it('colours what is wrong only where it is wanted', async () => {
    const wrong = (env: Record<string, string>) => runCommand(['orchestrate', '-s', 'x'], { env });
    expect((await wrong({ FORCE_COLOR: '1' })).stderr).toContain('\x1b[31magent-orchestrator\x1b[39m: ');
    expect((await wrong({ FORCE_COLOR: '1', NO_COLOR: '1' })).stderr).not.toContain('\x1b');
    expect((await wrong({})).stderr).not.toContain('\x1b');
  });
});

describeOnServer('a database without a ledger', () => {
  it.each([['verify'], ['export', 'session', 'x', '-o', 'nothing'], ['replay', 'views'], ['replay', 'decisions']])(
    'is told by %s %s, with what to do',
    async (...args) => {
      const place = await emptyPlace(true);
      const { code, stdout, stderr } = await runCommand(args, { env: place.settings as Record<string, string> });
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/there is no ledger of this version in the database \(relation .* does not exist\): start .* migrate\n$/);
      await place.drop();
    },
  );
});

describe('the ledger on disk', () => {
  // Four commands, each its own process, and a first one that makes the database.
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
  }, 180_000);

  it('is not made by verify', async () => {
    const directory = join(await scratchDirectory(), 'none');
    const { code, stderr } = await runCommand(['verify'], { env: { DATA_DIR: directory } });
    expect([code, stderr]).toEqual([1, expect.stringContaining(`there is no ledger at ${directory}; set DATA_DIR or DATABASE_URL`)]);
  });
});
