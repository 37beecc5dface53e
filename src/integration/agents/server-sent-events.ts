/** Takes a text/event-stream apart. Only `data` is of interest: what agents send names its kind inside. */
export class EventStream {
  private line = '';
  private data: string[] = [];
  /** A carriage return at the end of a chunk may be half of a line end. */
  private afterReturn = false;

  /** The data of each event that this text completes. What stands unfinished at the end of a stream is no event. */
  add(text: string): string[] {
    const events: string[] = [];
    const fresh = this.afterReturn && text.startsWith('\n') ? text.slice(1) : text;
    if (text !== '') this.afterReturn = text.endsWith('\r');
    const [first, ...more] = fresh.split(/\r\n|\n|\r/);
    this.line += first!;
    for (const next of more) {
      this.end(events);
      this.line = next;
    }
    return events;
  }

  private end(events: string[]): void {
    if (this.line.startsWith('data:')) this.data.push(this.line.slice(this.line[5] === ' ' ? 6 : 5));
    else if (this.line === '' && this.data.length > 0) events.push(this.data.splice(0).join('\n'));
  }
}
