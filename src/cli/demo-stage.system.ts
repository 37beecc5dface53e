/** A temporary directory and the processes that work in it; nothing of either is left after `strike`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { OrchestratorError } from '../kernel/errors.js';
import { readLock } from '../ledger/data-dir-lock.system.js';

const EXAMPLE_AGENT = fileURLToPath(new URL('../../data/example-agent.js', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));
/** A first start makes the database, which takes long where much else is going on. */
const START_MS = 60_000;
const COMMAND_MS = 60_000;
/** A server told to stop has ended by then. */
const STOP_MS = 12_000;
const MAX_OUTPUT = 1_000_000;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

export class Stage {
  private server: Running | undefined;
  private readonly running = new Set<Running>();
  private struck = false;

  private constructor(
    readonly directory: string,
    private readonly cli: string,
    private readonly env: Readonly<Record<string, string | undefined>>,
  ) {}

  /** `cli`: the file that the command `agent-orchestrator` runs. */
  static async build(cli: string, env: Readonly<Record<string, string | undefined>>): Promise<Stage> {
    const directory = await mkdtemp(join(tmpdir(), 'agent-orchestrator-demo-')).catch((error: Error) => {
      throw new OrchestratorError('bad_configuration', `the demo needs a temporary directory: ${error.message}; set TMPDIR`);
    });
    const stage = new Stage(directory, cli, env);
    await mkdir(join(stage.directory, 'data'));
    await writeFile(join(stage.directory, 'data/agents.json'), JSON.stringify({ agents: [{ module: EXAMPLE_AGENT }] }));
    return stage;
  }

  /** Starts one of the examples on a free port; resolves with its URL. */
  async peer(script: string, signal: AbortSignal): Promise<string> {
    let url: string | undefined;
    const peer = this.start([join(EXAMPLES, script)], { PORT: '0' });
    peer.child.stdout!.on('data', (text: string) => (url ??= /http:\S+/.exec(text)?.[0]));
    let over: Ended | undefined;
    void peer.ended.then((ended) => (over = ended));
    for (const end = Date.now() + START_MS; Date.now() < end; await sleep(20, undefined, { signal })) {
      if (url) return url;
      if (over) throw new OrchestratorError('internal', `${script} ended with ${over.code}: ${over.stderr || over.stdout}`);
    }
    throw new OrchestratorError('internal', `${script} did not listen within ${START_MS / 1000} s`);
  }

  /** The port on which the server listens. */
  async serve(settings: Record<string, string>, signal: AbortSignal): Promise<number> {
    const server = this.spawn(['serve'], { ORCHESTRATOR_PORT: '0', ...settings });
    this.server = server;
    let over: Ended | undefined;
    void server.ended.then((ended) => (over = ended));
    for (const end = Date.now() + START_MS; Date.now() < end; await sleep(50, undefined, { signal })) {
      if (over) throw new OrchestratorError('internal', `the server ended with ${over.code}: ${over.stderr || over.stdout}`);
      const holder = await readLock(join(this.directory, 'data/ledger'));
      if (holder?.port) return holder.port;
    }
    throw new OrchestratorError('internal', `the server did not listen within ${START_MS / 1000} s`);
  }

  /** Tells the server to stop, as Ctrl-C or a supervisor does. */
  async stop(): Promise<Ended> {
    this.server!.child.kill('SIGTERM');
    return this.server!.ended;
  }

  /** Runs `agent-orchestrator <args>` to its end. */
  run(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    const running = this.spawn(args, env);
    const limit = setTimeout(() => running.child.kill('SIGKILL'), COMMAND_MS);
    return running.ended.finally(() => clearTimeout(limit));
  }

  /** With the master key beside it. */
  async copyLedger(from: string, to: string): Promise<void> {
    await cp(join(this.directory, from), join(this.directory, to), { recursive: true });
    await cp(join(this.directory, `${from}.key`), join(this.directory, `${to}.key`));
  }

  /** Safe to call at any moment. */
  async strike(): Promise<void> {
    this.struck = true;
    for (const { child } of this.running) child.kill('SIGTERM');
    const kill = setTimeout(() => {
      for (const { child } of this.running) child.kill('SIGKILL');
    }, STOP_MS);
    await Promise.all([...this.running].map(({ ended }) => ended));
    clearTimeout(kill);
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  private spawn(args: readonly string[], settings: Record<string, string>): Running {
    return this.start([this.cli, ...args], settings);
  }

  /** In the directory, where no .env is, and without the settings of whoever plays the demo: it must not touch his ledger. */
  private start(args: readonly string[], settings: Record<string, string>): Running {
    if (this.struck) throw new OrchestratorError('internal', 'the demo is over');
    const { PATH, HOME, TMPDIR, FORCE_COLOR, NO_COLOR } = this.env;
    const child = spawn(process.execPath, [...args], {
      cwd: this.directory,
      env: { PATH, HOME, TMPDIR, FORCE_COLOR, NO_COLOR, ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout = (stdout + text).slice(-MAX_OUTPUT)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-MAX_OUTPUT)));
    const ended = new Promise<Ended>((resolve) => {
      child.once('error', (error) => resolve({ code: null, stdout, stderr: error.message }));
      child.once('close', (code) => resolve({ code, stdout, stderr }));
    });
    const running = { child, ended };
    this.running.add(running);
    void ended.then(() => this.running.delete(running));
    return running;
  }
}
