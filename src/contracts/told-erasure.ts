/** What peers who hold copies are told of an erasure. */
export interface ToldErasure {
  /** One erasure is about one session: its streams that lost something, oldest first. */
  readonly streams: readonly string[];
  /** By what name it was known; null: its name was erased before, or is not needed any more. */
  readonly session: string | null;
  /** All of these streams. */
  readonly whole: boolean;
  /** Contracts and memory blocks that lost something; none if all of them did. */
  readonly contracts: readonly string[];
  readonly blocks: readonly string[];
  /** Names of what they lost; null: all of it. */
  readonly fields: readonly string[] | null;
}
