/**
 * Forwarding to Trace as one worker of the process. Beside a PostgreSQL server it runs on a thread of its own, with a connection of its own and,
 * where the system lets a thread be less urgent than the others (Linux), at a lower priority: it gets the time that the calls leave. The embedded
 * database has one connection, so there it stays on the main thread. On either it rests while the main thread has more to do than it can.
 *
 * The compiled file is its own thread entry. From the TypeScript source, that is in tests, the same work is done in place.
 */
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, type MessagePort, parentPort, Worker as Thread, workerData } from 'node:worker_threads';
import { OrchestratorError } from '../../kernel/errors.js';
import type { Log } from '../../kernel/log.system.js';
import type { Worker } from '../../kernel/worker.js';
import { Database } from '../../ledger/database.postgres.js';
import { FORWARD_DEFAULTS, ForwardWorker } from '../../ledger/forward.worker.js';
import type { LedgerSettings } from '../../ledger/ledger.settings.js';
import { openMasterKeys } from '../../ledger/master-key.system.js';
import { TraceClient } from './trace.client.js';
import { TraceForwarder } from './trace.follower.js';
import type { TraceSettings } from './trace.settings.js';
import { TRACE, type TraceMessage } from './trace-message.js';

const ENTRY = fileURLToPath(import.meta.url);
const ROLE = 'agent-orchestrator forwarding to Trace';
/** The least there is: the thread that serves calls must not wait for a time slice of this one to end. */
const LESS_URGENT = 19;
/** One to read and to write down what became of it, one to renew the lease meanwhile. */
const CONNECTIONS = 2;
const REPORT_MS = 200;
const LOOK_MS = 250;
const CLOSE_MS = 5000;
const RESTART_MS = 1000;

export type ForwardingSettings = TraceSettings & Pick<LedgerSettings, 'DATABASE_URL' | 'DATA_DIR' | 'MASTER_KEY' | 'MASTER_KEY_FILE'>;
type Notes = Pick<Log, 'info' | 'warn'>;

type Report =
  | { kind: 'started' }
  | { kind: 'status'; status: Record<string, unknown> }
  | { kind: 'log'; level: keyof Notes; facts: object; message: string };

interface ThreadData {
  readonly role: typeof ROLE;
  readonly settings: ForwardingSettings;
  readonly owner: string;
  /** Shared: 1 while somebody waits for the main thread. */
  readonly pressed: Int32Array;
}

export function traceClient({ TRACE_URL, TRACE_TIMEOUT_SECONDS, TRACE_PAUSE_SECONDS }: TraceSettings): TraceClient | null {
  if (TRACE_URL === undefined || TRACE_URL === 'off') return null;
  return new TraceClient({ url: TRACE_URL, timeoutMs: TRACE_TIMEOUT_SECONDS * 1000, longestPauseMs: TRACE_PAUSE_SECONDS * 1000 });
}

/** `settings` name a Trace. `pressed`: somebody waits for the main thread. */
export function forwardingInPlace(
  db: Database,
  { settings, owner, log, pressed }: { settings: TraceSettings; owner: string; log: Notes; pressed: () => boolean },
): ForwardWorker<TraceMessage> {
  return new ForwardWorker(db, new TraceForwarder(traceClient(settings)!, log), owner, {
    ...FORWARD_DEFAULTS,
    begin: 'next', // what happened before leaves the house only when somebody asks for a replay
    tries: settings.TRACE_TRIES,
    pauseMs: { ...FORWARD_DEFAULTS.pauseMs, most: settings.TRACE_PAUSE_SECONDS * 1000 },
    pressed,
  });
}

/** Whether it can have a thread here. */
export const hasThread = (db: Database): boolean => !db.embedded && !ENTRY.endsWith('.ts');

export class ForwardingThread implements Worker {
  readonly name = `follower ${TRACE}`;
  private thread: Thread | null = null;
  private latest: Record<string, unknown> = { leading: false, delivered: 0, last_error: null, waits_ms: 0 };
  private ending = false;
  private readonly flag = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  private readonly looking: NodeJS.Timeout;

  constructor(
    private readonly settings: ForwardingSettings,
    private readonly owner: string,
    private readonly log: Log,
    pressed: () => boolean,
  ) {
    this.looking = setInterval(() => Atomics.store(this.flag, 0, pressed() ? 1 : 0), LOOK_MS);
    this.looking.unref();
  }

  /** Resolves when it follows. */
  start(): Promise<void> {
    const data: ThreadData = { role: ROLE, settings: this.settings, owner: this.owner, pressed: this.flag };
    const thread = new Thread(ENTRY, { workerData: data });
    this.thread = thread;
    thread.unref(); // forwarding alone keeps no process alive
    let following = false;
    return new Promise((started, failed) => {
      thread.on('message', (report: Report) => {
        if (report.kind === 'status') this.latest = report.status;
        if (report.kind === 'log') this.log[report.level](report.facts, report.message);
        if (report.kind !== 'started') return;
        following = true;
        started();
      });
      thread.on('error', (error) => {
        failed(new OrchestratorError('ledger_unavailable', `forwarding to Trace cannot start: ${error.message}`, { cause: error }));
        if (following) this.log.error({ err: error }, 'the thread that forwards to Trace failed; another one goes on');
      });
      thread.on('exit', () => {
        failed(new Error('the thread that forwards to Trace ended before it had started'));
        if (following && !this.ending) void this.restart();
      });
    });
  }

  /** Nothing is lost: the cursor is in the database. */
  private async restart(): Promise<void> {
    while (!this.ending) {
      await sleep(RESTART_MS, undefined, { ref: false });
      if (this.ending) return;
      try {
        return await this.start();
      } catch (err) {
        this.log.warn({ err }, 'forwarding to Trace does not start; it is tried again');
      }
    }
  }

  kick(): void {
    this.thread?.postMessage('kick');
  }

  async drain(): Promise<void> {
    clearInterval(this.looking);
    if (!this.thread || this.ending) return;
    this.ending = true;
    const { thread } = this;
    thread.ref();
    const ended = new Promise((resolve) => thread.once('exit', resolve));
    thread.postMessage('drain');
    const hangs = setTimeout(() => void thread.terminate(), CLOSE_MS); // what it was sending is sent again
    if (thread.threadId !== -1) await ended;
    clearTimeout(hangs);
  }

  status(): Record<string, unknown> {
    return this.latest;
  }
}

async function serve(port: MessagePort, { settings, owner, pressed }: ThreadData): Promise<void> {
  if (process.platform === 'linux') setPriority(LESS_URGENT); // elsewhere it would be the whole process's
  const tell = (report: Report) => port.postMessage(report);
  const note = (level: keyof Notes) => (facts: object, message: string) => tell({ kind: 'log', level, facts, message });
  const { keys } = await openMasterKeys(settings, { make: false });
  const db = await Database.connect({ url: settings.DATABASE_URL!, poolSize: CONNECTIONS, keys });
  const log = { info: note('info'), warn: note('warn') };
  const worker = forwardingInPlace(db, { settings, owner, log, pressed: () => Atomics.load(pressed, 0) === 1 });
  let told = '';
  const report = () => {
    const status = worker.status();
    const text = JSON.stringify(status);
    if (text !== told) tell({ kind: 'status', status });
    told = text;
  };
  const reporting = setInterval(report, REPORT_MS);
  const end = async () => {
    clearInterval(reporting);
    port.close();
    try {
      await worker.drain();
    } finally {
      await db.close();
    }
  };
  port.on('message', (order: 'kick' | 'drain') => {
    if (order === 'kick') return worker.kick();
    void end();
  });
  await worker.start();
  report();
  tell({ kind: 'started' });
}

// A rejection ends the thread, and the main thread learns why.
if (!isMainThread && parentPort && (workerData as Partial<ThreadData> | null)?.role === ROLE) {
  void serve(parentPort, workerData as ThreadData);
}
