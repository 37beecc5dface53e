/** Orchestrators in processes of their own (dist/main.js, as `npm start` runs it), to be told to stop or killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { agentsFile, EXAMPLE, MOODY, type Place } from './place.js';
import { until } from './until.js';

const MAIN = join(__dirname, '../../dist/main.js');
const CLI = join(__dirname, '../../dist/cli.js');
/** A first start makes the embedded database; on a busy machine that takes long. */
const START_MS = 60_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Spawned {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** From now on nobody reads its stdout, until the returned function is called. */
  ignoreStdout(): () => void;
  /** As `head` does when it has read enough. */
  closeStdout(): void;
  signal(signal: NodeJS.Signals): void;
}

export interface Process extends Spawned {
  /** Where it listens; rejects when it ends before. */
  readonly url: Promise<string>;
}

const alive = new Set<ChildProcess>();

/** Nothing this file has started outlives its tests. */
export async function endAll(): Promise<void> {
  const ending = [...alive].map((child) => new Promise((ended) => child.once('exit', ended)));
  for (const child of alive) child.kill('SIGKILL');
  await Promise.all(ending);
}
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

interface Surroundings {
  readonly env?: Record<string, string>;
  readonly input?: string | undefined;
  readonly cwd?: string | undefined;
}

/** `agent-orchestrator <args>`, as a shell starts it. The working directory holds no .env and no data. */
export function spawnCommand(args: readonly string[], { env = {}, input, cwd }: Surroundings = {}): Spawned {
  return spawnNode([CLI, ...args], { PATH: process.env['PATH'], ...env }, { input, cwd });
}

function spawnNode(args: readonly string[], env: NodeJS.ProcessEnv, { input, cwd }: Surroundings = {}): Spawned {
  const child = spawn(process.execPath, args, { env, cwd: cwd ?? process.env['AO_TEST_SCRATCH']!, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined).end(input); // a command that reads nothing closes it
  alive.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // 'close' comes after the last output was read.
  const ended = new Promise<Ended>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  void ended.then(() => alive.delete(child));
  const ignoreStdout = () => {
    child.stdout.pause();
    return () => void child.stdout.resume();
  };
  return {
    pid: child.pid!,
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
    ignoreStdout,
    closeStdout: () => void child.stdout.destroy(),
    signal: (signal) => void child.kill(signal),
  };
}

export async function spawnOrchestrator(place: Place, settings: Record<string, string> = {}): Promise<Process> {
  const file = settings['AGENTS_FILE'] ?? (await agentsFile([EXAMPLE, MOODY]));
  const env = { PATH: process.env['PATH'], ORCHESTRATOR_PORT: '0', AGENTS_FILE: file, ...place.settings, ...settings };
  const spawned = spawnNode([MAIN], env);
  let over: Ended | undefined;
  void spawned.ended.then((end) => {
    over = end;
  });
  const listening = async (): Promise<string> => {
    let url: string | undefined;
    await until(
      'the orchestrator listens',
      () => {
        url = /"url":"([^"]+)"[^\n]*"msg":"listening"/.exec(spawned.stdout())?.[1];
        if (over && !url)
          throw new Error(`the orchestrator ended with ${JSON.stringify(over)} before it listened: ${spawned.stdout()}${spawned.stderr()}`);
        return url !== undefined;
      },
      START_MS,
    );
    return url!;
  };
  const url = listening();
  url.catch(() => undefined); // who does not ask need not hear
  return { ...spawned, url };
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCommand(args: readonly string[], options: Parameters<typeof spawnCommand>[1] = {}): Promise<Outcome> {
  const command = spawnCommand(args, options);
  const { code } = await command.ended;
  return { code, stdout: command.stdout(), stderr: command.stderr() };
}
