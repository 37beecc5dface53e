/**
 * The summarizer that needs no model: it quotes what the record says and counts contracts, so everything it says is cited by construction.
 * The same contracts always give the same statements.
 */
import { join, type Statement, type Statements } from './block.js';
import { cut, type SourceContract } from './source.js';

const MOST_ITEMS = 50;
const QUOTED = 300;

export function extract(contracts: readonly SourceContract[], previous: Statements | null): Statements {
  const own: Statements = {
    sentences: counts(contracts.filter((c) => c.response !== null)),
    key_decisions: items(contracts, (c) => c.agent !== null && c.values['routing'] !== undefined, decision),
    facts: items(contracts, (c) => c.status === 'completed', fact),
    preferences: [], // what somebody prefers stands in no field of the record, and nothing is guessed
    open_questions: items(contracts, (c) => c.response === null || WAITS.has(c.error_code ?? ''), question),
    failures: items(contracts, (c) => c.status === 'failed' || c.status === 'cancelled', failure),
  };
  if (!previous) return own;
  const answered = new Set(contracts.map((c) => c.id));
  // An open question whose contract is in this range has been answered, or is asked again above.
  const open_questions = previous.open_questions.filter(({ contracts: ids }) => !ids.some((id) => answered.has(id)));
  return newest(join([{ ...previous, open_questions }, own]));
}

const WAITS = new Set(['input_required', 'auth_required', 'interrupted']);

const newest = (all: Statements): Statements => ({
  ...all,
  sentences: all.sentences.slice(-MOST_ITEMS),
  key_decisions: all.key_decisions.slice(-MOST_ITEMS),
  facts: all.facts.slice(-MOST_ITEMS),
  open_questions: all.open_questions.slice(-MOST_ITEMS),
  failures: all.failures.slice(-MOST_ITEMS),
});

/** How many contracts of a capability ended how: the sentences that cover everything that has ended. */
function counts(contracts: readonly SourceContract[]): Statement[] {
  const groups = new Map<string, { of: SourceContract; ids: string[] }>();
  for (const contract of contracts) {
    const key = JSON.stringify([who(contract), contract.status, contract.error_code]);
    const group = groups.get(key);
    if (group) group.ids.push(contract.id);
    else groups.set(key, { of: contract, ids: [contract.id] });
  }
  return [...groups.values()].map(({ of, ids }) => {
    const code = of.error_code === null ? '' : ` (${of.error_code})`;
    return { text: `${who(of)}: ${ids.length} ${of.status}${code}.`, contracts: ids };
  });
}

const isPlan = ({ values }: SourceContract) => values['plan'] !== undefined;

function who(contract: SourceContract): string {
  const { capability, agent } = contract;
  const what = capability ?? (isPlan(contract) ? 'a plan' : 'an unknown capability');
  return agent === null ? what : `${what} by ${agent}`;
}

function items(
  contracts: readonly SourceContract[],
  wanted: (contract: SourceContract) => boolean,
  say: (contract: SourceContract) => string,
): Statement[] {
  return contracts
    .filter(wanted)
    .slice(-MOST_ITEMS)
    .map((contract) => ({ text: say(contract), contracts: [contract.id] }));
}

const quote = (contract: SourceContract, name: string) => cut(contract.values[name] ?? 'nothing that is still there', QUOTED);
const asked = (c: SourceContract) => quote(c, isPlan(c) ? 'plan' : 'parameters');
const decision = (c: SourceContract) => `${c.capability} went to ${c.agent}: ${quote(c, 'routing')}`;
const fact = (c: SourceContract) => `${who(c)}, asked with ${asked(c)}, answered ${quote(c, 'result')}`;
const failure = (c: SourceContract) => `${who(c)} ${c.status} (${c.error_code}): ${quote(c, 'error')}`;
const question = (c: SourceContract) =>
  c.response === null
    ? `${who(c)}, asked with ${asked(c)}, is not answered yet`
    : `${who(c)} waits (${c.error_code}): ${quote(c, 'error')}`;
