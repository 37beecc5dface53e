/** A file that is written piece by piece and never held. */
import { createWriteStream, type WriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';

export class TextFile {
  private readonly stream: WriteStream;
  private readonly done: Promise<void>;

  constructor(readonly path: string) {
    this.stream = createWriteStream(path, { flags: 'wx', highWaterMark: 1 << 18 });
    this.done = finished(this.stream);
    this.done.catch(() => undefined); // told by whoever writes or closes next
  }

  async write(text: string): Promise<void> {
    if (this.stream.errored) throw this.stream.errored;
    if (this.stream.write(text)) return;
    await Promise.race([new Promise<void>((resume) => this.stream.once('drain', resume)), this.done]);
  }

  async close(): Promise<void> {
    this.stream.end();
    await this.done;
  }
}
