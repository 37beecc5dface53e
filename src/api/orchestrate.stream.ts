/**
 * A task followed while it runs: Server-Sent Events `contract`, `status`, `delta`, then one `result`, or `error` where the ledger was lost.
 * The response begins with the first event: whatever fails before that is an ordinary problem with its status.
 */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { StreamableFile } from '@nestjs/common';
import { Stop } from '../agents/agent-client.js';
import type { Follower, OrchestrateResult } from '../orchestration/orchestrate.commands.js';
import type { Problem } from './problem.schema.js';

/** Proxies close what is silent for longer. */
const HEARTBEAT_MS = 15_000;
/** What may wait for a reader who is too slow. Beyond it `status` and `delta` are left out; `contract`, `result` and `error` never are. */
const MOST_WAITING_BYTES = 256 * 1024;

/** Whether an Accept header asks for events: by name, a wildcard does not. */
export function wantsEvents(accept: string | undefined): boolean {
  const ranges = (accept ?? '').split(',').map((range) =>
    range
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/),
  );
  return ranges.some(([type, ...parameters]) => type === 'text/event-stream' && !parameters.some((p) => /^q=0(\.0*)?$/.test(p)));
}

/** Resolves when the first event is there, rejects with what `work` fails with before. Who hangs up on `response` stops the work. */
export function followed(
  work: (follower: Follower) => Promise<OrchestrateResult>,
  response: ServerResponse,
  problemOf: (error: unknown) => Problem,
  heartbeatMs = HEARTBEAT_MS,
): Promise<StreamableFile> {
  const gone = new Stop();
  response.once('close', () => gone.stop(new Error('the caller hung up before the agent answered')));
  return new Promise((resolve, reject) => {
    let events: EventWriter | undefined;
    const follower: Follower = {
      gone,
      recorded(contract) {
        events = new EventWriter(heartbeatMs);
        events.write('contract', contract);
        resolve(events.file());
      },
      progress: (progress) => events?.offer('status' in progress ? 'status' : 'delta', progress),
    };
    work(follower)
      .then(
        (result) => events?.write('result', result),
        (error: unknown) => (events ? events.write('error', problemOf(error)) : reject(error as Error)),
      )
      .finally(() => events?.end());
  });
}

/** Writes events to one reader; what he has not taken yet is bounded. */
class EventWriter {
  private readonly out = new Readable({ read() {} }).once('close', () => clearInterval(this.heartbeat));
  private readonly heartbeat: NodeJS.Timeout;
  private missed = 0;

  constructor(heartbeatMs: number) {
    this.heartbeat = setInterval(() => this.out.readableLength === 0 && this.push(': still working\n\n'), heartbeatMs);
  }

  file(): StreamableFile {
    return new StreamableFile(this.out, { type: 'text/event-stream' });
  }

  write(event: string, data: object): void {
    this.push(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Left out if the reader is behind; the next one that reaches him says how many he has missed. */
  offer(event: string, data: object): void {
    const text = `event: ${event}\ndata: ${JSON.stringify(this.missed > 0 ? { ...data, missed: this.missed } : data)}\n\n`;
    const fits = this.out.readableLength + Buffer.byteLength(text) <= MOST_WAITING_BYTES;
    this.missed = fits ? 0 : this.missed + 1;
    if (fits) this.push(text);
  }

  end(): void {
    clearInterval(this.heartbeat);
    if (!this.out.destroyed) this.out.push(null);
  }

  private push(text: string): void {
    if (!this.out.destroyed) this.out.push(text);
  }
}
