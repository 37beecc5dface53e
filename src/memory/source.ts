/** What a block is made of: the contracts of a range of a session's stream, as the ledger has them. */
import { canonicalJson } from '../kernel/canonical.js';
import type { JsonValue } from '../kernel/json.js';

/** Values are canonical JSON, perhaps cut. */
export interface SourceContract {
  /** Of the REQUEST. */
  readonly id: string;
  readonly seq: number;
  /** Id of the RESPONSE, null while the contract is open. */
  readonly response: string | null;
  readonly capability: string | null;
  readonly agent: string | null;
  readonly status: string;
  readonly error_code: string | null;
  readonly requested_at: string;
  readonly answered_at: string | null;
  readonly values: Readonly<Record<string, string>>;
  /** Characters of the values before they were cut. */
  readonly size: number;
  readonly shortened: boolean;
}

export interface Source {
  readonly contracts: readonly SourceContract[];
  readonly from_seq: number;
  readonly to_seq: number;
  readonly source_hash: string;
}

/** More of one value than this is not read: one agent's long answer must not push the rest of the session out of the model's window. */
const MOST_CHARACTERS = 8000;
const LEAST_CHARACTERS = 200;
/** Of one value of every event together: a long session is read more coarsely, so that it fits into memory. */
const ALL_CHARACTERS = 32_000_000;

/** How much is read of each value when the range has so many events. */
export const charactersFor = (events: number): number =>
  Math.max(LEAST_CHARACTERS, Math.min(MOST_CHARACTERS, Math.floor(ALL_CHARACTERS / Math.max(1, events))));

/** The disclosures a summary may rest on, in the order in which they are shown. */
export const VALUES = ['asked', 'plan', 'parameters', 'context', 'routing', 'result', 'error'] as const;

type Cut = Pick<SourceContract, 'values' | 'size' | 'shortened'>;

export function cutValues(disclosed: Readonly<Record<string, JsonValue | undefined>>, most = MOST_CHARACTERS): Cut {
  const values: Record<string, string> = {};
  let [size, shortened] = [0, false];
  for (const name of VALUES) {
    const value = disclosed[name];
    if (value === undefined) continue;
    const text = canonicalJson(value);
    size += text.length;
    shortened ||= text.length > most;
    values[name] = cut(text, most);
  }
  return { values, size, shortened };
}

/** At most so many UTF-16 units, never half a character. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const end = /[\uD800-\uDBFF]/.test(text[most - 2] ?? '') ? most - 2 : most - 1;
  return `${text.slice(0, end)}…`;
}

/**
 * A contract as a model sees it. Its contents are strings inside JSON, and no `<` is left in them: whatever an agent wrote, it cannot close
 * the element it stands in.
 */
export function render(contract: SourceContract): string {
  const { id, response, values, size: _size, shortened: _shortened, seq: _seq, ...facts } = contract;
  const body = JSON.stringify({ ...facts, ...values }).replaceAll('<', '\\u003c');
  return `<contract id="${id}"${response === null ? '' : ` response="${response}"`}>\n${body}\n</contract>`;
}
