/**
 * What is under way, by id. A Map or Set that things come into and go out of all the time holds on to them: V8 replaces its table every few
 * dozen changes, and each old table refers to the next one, so that what they held, and with it all that a call has touched, stays until the
 * next full collection. Here what has ended lets go of what it held.
 */
export class UnderWay<T> {
  private readonly entries = new Map<string, { value: T | null }>();

  get size(): number {
    return this.entries.size;
  }

  begin(id: string, value: T): void {
    this.entries.set(id, { value });
  }

  /** What it was; undefined if it was not under way. */
  end(id: string): T | undefined {
    const entry = this.entries.get(id);
    if (!entry) return undefined;
    this.entries.delete(id);
    const { value } = entry;
    entry.value = null;
    return value!;
  }

  ids(): string[] {
    return [...this.entries.keys()];
  }

  /** In the order in which they began. */
  all(): T[] {
    return [...this.entries.values()].map(({ value }) => value!);
  }
}
