/** Orchestrators in processes of their own (dist/main.js, as `npm start` runs it), to be told to stop or killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { until } from './orchestrator.js';
import { agentsFile, EXAMPLE, MOODY, type Place } from './place.js';

const MAIN = join(__dirname, '../../dist/main.js');
/** A first start makes the embedded database; on a busy machine that takes long. */
const START_MS = 60_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Process {
  readonly pid: number;
  /** Where it listens; rejects when it ends before. */
  readonly url: Promise<string>;
  readonly ended: Promise<Ended>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** From now on nobody reads its stdout, until the returned function is called. */
  ignoreStdout(): () => void;
  signal(signal: NodeJS.Signals): void;
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

export async function spawnOrchestrator(place: Place, settings: Record<string, string> = {}): Promise<Process> {
  const file = settings['AGENTS_FILE'] ?? (await agentsFile([EXAMPLE, MOODY]));
  const env = { PATH: process.env['PATH'], ORCHESTRATOR_PORT: '0', AGENTS_FILE: file, ...place.settings, ...settings };
  // The working directory holds no .env and no data.
  const child = spawn(process.execPath, [MAIN], { env, cwd: process.env['AO_TEST_SCRATCH']!, stdio: ['ignore', 'pipe', 'pipe'] });
  alive.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // 'close' comes after the last output was read.
  const ended = new Promise<Ended>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  let over: Ended | undefined;
  void ended.then((end) => {
    over = end;
    alive.delete(child);
  });
  const listening = async (): Promise<string> => {
    let url: string | undefined;
    await until(
      'the orchestrator listens',
      () => {
        url = /"url":"([^"]+)"[^\n]*"msg":"listening"/.exec(stdout)?.[1];
        if (over && !url) throw new Error(`the orchestrator ended with ${JSON.stringify(over)} before it listened: ${stdout}${stderr}`);
        return url !== undefined;
      },
      START_MS,
    );
    return url!;
  };
  const url = listening();
  url.catch(() => undefined); // who does not ask need not hear
  return {
    pid: child.pid!,
    url,
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
    ignoreStdout: () => {
      child.stdout.pause();
      return () => void child.stdout.resume();
    },
    signal: (signal) => void child.kill(signal),
  };
}
