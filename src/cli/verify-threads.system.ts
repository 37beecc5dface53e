/**
 * Verifies streams on several threads, each with a connection of its own: hashing and parsing is what verify spends its time with, and one
 * thread has one core. A stream is walked by one of them.
 *
 * The compiled file is its own thread entry. From the TypeScript source, that is in tests, the same work is done in place.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { VerificationState } from '../audit/verify.js';
import { verifyStreams } from '../audit/verify.postgres.js';
import type { StreamFacts } from '../audit/verify-stream.js';
import { OrchestratorError } from '../kernel/errors.js';
import { Database } from '../ledger/database.postgres.js';
import { openMasterKeys } from '../ledger/master-key.system.js';

const ENTRY = fileURLToPath(import.meta.url);
const ROLE = 'agent-orchestrator verify';
const MOST = 8;
/** A page is cut into more parts than there are threads, since streams are of different length. */
const PARTS_PER_THREAD = 4;

/** As many as there are cores. */
export const defaultThreads = (): number => Math.min(MOST, availableParallelism());

/** Where the ledger is, and the keys to its payload. */
export type ThreadSettings = Parameters<typeof openMasterKeys>[0] & { readonly DATABASE_URL: string };

interface Part {
  readonly facts: readonly StreamFacts[];
  done(state: VerificationState): void;
  failed(error: Error): void;
}

type Answer = { state: VerificationState } | { failed: string };

export class VerifyThreads {
  private readonly waiting: Part[] = [];
  private readonly threads: Worker[] = [];
  private readonly idle: ((part: Part) => void)[] = [];

  constructor(
    private readonly settings: ThreadSettings,
    private readonly count: number,
  ) {}

  /** In the order of the streams. */
  async streams(facts: readonly StreamFacts[]): Promise<VerificationState[]> {
    if (this.threads.length === 0 && !ENTRY.endsWith('.ts')) for (let i = 0; i < this.count; i++) this.start();
    return Promise.all(partsOf(facts, this.count * PARTS_PER_THREAD).map((part) => this.check(part)));
  }

  private check(facts: readonly StreamFacts[]): Promise<VerificationState> {
    if (this.threads.length === 0) return inPlace(this.settings, facts);
    return new Promise((done, failed) => {
      const part = { facts, done, failed };
      const take = this.idle.pop();
      if (take) take(part);
      else this.waiting.push(part);
    });
  }

  private start(): void {
    const thread = new Worker(ENTRY, { workerData: { role: ROLE, settings: this.settings } });
    this.threads.push(thread);
    let working: Part | null = null;
    const take = (part: Part) => {
      working = part;
      thread.postMessage(part.facts);
    };
    thread.on('message', (answer: Answer) => {
      const part = working!;
      if ('state' in answer) part.done(answer.state);
      else part.failed(new OrchestratorError('ledger_unavailable', answer.failed));
      const next = this.waiting.shift();
      working = null;
      if (next) take(next);
      else this.idle.push(take);
    });
    thread.on('error', (error) => {
      for (const part of [...(working ? [working] : []), ...this.waiting.splice(0)]) part.failed(error);
    });
    this.idle.push(take);
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.terminate()));
  }
}

/** About as many events in each, neighbours together. */
function partsOf(facts: readonly StreamFacts[], count: number): StreamFacts[][] {
  const events = (one: StreamFacts) => Number(one.last ?? 0);
  const share = facts.reduce((sum, one) => sum + events(one), 0) / count;
  const parts: StreamFacts[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const one of facts) {
    if (size >= share) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1)!.push(one);
    size += events(one);
  }
  return parts;
}

async function connect({ DATABASE_URL: url, ...settings }: ThreadSettings): Promise<Database> {
  const { keys } = await openMasterKeys(settings, { make: false });
  return Database.connect({ url, poolSize: 1, keys });
}

async function inPlace(settings: ThreadSettings, facts: readonly StreamFacts[]): Promise<VerificationState> {
  const db = await connect(settings);
  try {
    return await verifyStreams(db, facts);
  } finally {
    await db.close();
  }
}

/** Buffers lose their class on the way between threads. */
const arrived = ({ head, ...facts }: StreamFacts): StreamFacts => ({
  ...facts,
  head: head && { ...head, head: Buffer.from(head.head), base: Buffer.from(head.base) },
});

async function serve(port: NonNullable<typeof parentPort>, settings: ThreadSettings): Promise<void> {
  const db = await connect(settings);
  port.on('message', (facts: StreamFacts[]) => {
    verifyStreams(db, facts.map(arrived)).then(
      (state) => port.postMessage({ state } satisfies Answer),
      (error: Error) => port.postMessage({ failed: error.message } satisfies Answer),
    );
  });
}

if (!isMainThread && parentPort && (workerData as { role?: string } | null)?.role === ROLE) {
  void serve(parentPort, (workerData as { settings: ThreadSettings }).settings);
}
