import type { JsonValue } from '../kernel/json.js';

/** A step that has ended, as evidence. */
export interface Evidence {
  readonly name: string;
  /** Of the REQUEST. */
  readonly contract_id: string;
  readonly agent_id: string | null;
  readonly capability: string | null;
  readonly status: string;
  readonly error_code: string | null;
  readonly parameters: JsonValue;
  readonly result: JsonValue;
  readonly text: string | null;
  readonly error: string | null;
}

/** One answer made of several, every statement of it resting on contracts that were checked to hold it. */
export interface Synthesis {
  /** The statements as one text. */
  readonly text: string;
  readonly statements: readonly { readonly text: string; readonly contracts: readonly string[] }[];
  /** What the model said and the check of its citations took out. */
  readonly removed: readonly { readonly text: string; readonly contracts: readonly string[]; readonly reason: string }[];
  readonly model: string;
  readonly prompt_hash: string;
  readonly tokens_in: number;
  readonly tokens_out: number;
}

/** Makes one answer of what the steps of a plan said. */
export abstract class Synthesizer {
  /** false: no language model is configured, and nothing can be synthesised. */
  abstract readonly available: boolean;

  /** Stops soon after `signal` aborts, throwing its reason. Throws `llm_unavailable` when no answer can be had whose citations hold. */
  abstract synthesize(steps: readonly Evidence[], intent: string | null, signal: AbortSignal): Promise<Synthesis>;
}
