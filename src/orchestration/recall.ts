import type { JsonValue } from '../kernel/json.js';

export interface Recalled {
  /** Names the block for ever; with it the record shows what an agent was given. */
  readonly reference: { readonly memory_block_id: string; readonly hash: string };
  readonly block: JsonValue;
}

/** The newest memory block of a session, for tasks that want it (`context: {memory: true}`); null: it has none. */
export abstract class Recall {
  abstract recall(tenant: string, session: string): Promise<Recalled | null>;
}
