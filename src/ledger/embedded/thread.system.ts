/**
 * The engine in a thread of its own. PostgreSQL in WebAssembly blocks whoever calls it, and so does its fsync: on the main thread
 * every commit would stop HTTP, timers and agents for as long as the disk takes.
 *
 * The compiled file is its own thread entry. From the TypeScript source, that is in tests, the same engine runs in place, since Node
 * cannot start a thread on that.
 */
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type ErrorCode, OrchestratorError } from '../../kernel/errors.js';
import { type Engine, type EngineOptions, type EngineWatch, startEngine } from './engine.system.js';

const ENTRY = fileURLToPath(import.meta.url);
const ROLE = 'agent-orchestrator embedded database';
/** A shutdown checkpoint writes at most the 16 MB of shared buffers. */
const CLOSE_MS = 20_000;

type Report =
  | { kind: 'log'; message: string }
  | { kind: 'ready' }
  | { kind: 'closed' }
  /** Errors lose their class and their fields on the way between threads. */
  | { kind: 'refused' | 'broken'; code: ErrorCode | null; message: string };

export function startEngineThread(options: EngineOptions, watch: EngineWatch): Promise<Engine> {
  return ENTRY.endsWith('.ts') ? startEngine(options, watch) : inThread(options, watch);
}

function inThread(options: EngineOptions, watch: EngineWatch): Promise<Engine> {
  const worker = new Worker(ENTRY, { workerData: { role: ROLE, options } });
  let state: 'starting' | 'running' | 'ended' = 'starting';
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  return new Promise((resolve, reject) => {
    const end = (error: Error) => {
      if (state === 'starting') reject(error);
      if (state === 'running') watch.broken(error instanceof OrchestratorError ? error : lost(error));
      state = 'ended';
      void worker.terminate();
    };
    worker.on('message', (report: Report) => {
      if (report.kind === 'log') watch.log(report.message);
      if (report.kind === 'refused' || report.kind === 'broken') {
        end(report.code === null ? new Error(report.message) : new OrchestratorError(report.code, report.message));
      }
      if (report.kind !== 'ready') return;
      state = 'running';
      worker.unref(); // the database alone keeps no process alive
      resolve({ close, kill });
    });
    worker.on('error', end);
    worker.on('exit', () => end(new Error('its thread ended')));
    const close = async () => {
      if (state !== 'running') return ended;
      state = 'ended';
      worker.ref();
      worker.postMessage('close');
      const hangs = setTimeout(() => void worker.terminate(), CLOSE_MS); // the next start recovers, as after a crash
      await ended;
      clearTimeout(hangs);
    };
    const kill = async () => {
      state = 'ended';
      await worker.terminate();
    };
  });
}

function lost(cause: Error): OrchestratorError {
  return new OrchestratorError(
    'ledger_unavailable',
    `the embedded database stopped (${cause.message}): start again, what was acknowledged is safe on disk`,
    { cause },
  );
}

async function run(options: EngineOptions): Promise<void> {
  const report = (message: Report) => parentPort!.postMessage(message);
  const failed = (kind: 'refused' | 'broken', error: unknown) =>
    report({ kind, code: error instanceof OrchestratorError ? error.code : null, message: (error as Error).message });
  try {
    const engine = await startEngine(options, {
      log: (message) => report({ kind: 'log', message }),
      broken: (error) => failed('broken', error),
    });
    const close = async () => {
      await engine
        .close()
        .catch((error: Error) => report({ kind: 'log', message: `the embedded database did not close in good order: ${error.message}` }));
      process.exit(); // of this thread only
    };
    parentPort!.once('message', () => void close());
    report({ kind: 'ready' });
  } catch (error) {
    failed('refused', error);
  }
}

if (!isMainThread && (workerData as { role?: unknown } | null)?.role === ROLE) void run((workerData as { options: EngineOptions }).options);
