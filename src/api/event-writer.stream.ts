import { Readable } from 'node:stream';
import { StreamableFile } from '@nestjs/common';

/** Proxies close what is silent for longer. */
const HEARTBEAT_MS = 15_000;
/** What may wait for a reader who is too slow; beyond it what is only offered is left out. */
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

/** Writes Server-Sent Events to one reader. */
export class EventWriter {
  private readonly out = new Readable({ read() {} }).once('close', () => clearInterval(this.heartbeat));
  private readonly heartbeat: NodeJS.Timeout;
  private missed = 0;

  constructor(heartbeatMs = HEARTBEAT_MS) {
    this.heartbeat = setInterval(() => this.out.readableLength === 0 && this.push(': still working\n\n'), heartbeatMs);
  }

  /** When all of it is written, or nobody reads it any more. */
  onClose(listener: () => void): void {
    this.out.once('close', listener);
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
