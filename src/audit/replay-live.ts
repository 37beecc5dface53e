/** What of a recorded session is sent again to whom, and what is not, with the reason. Pure: nobody is asked anything. */
import type { JsonValue } from '../kernel/json.js';
import { COMPARATORS, type Comparator, type Ending } from './replay-compare.js';
import type { ContractThen } from './replay-session.js';

/** An agent of today, as far as it matters here. */
export interface AgentNow {
  readonly agent_id: string;
  readonly status: string;
  readonly capabilities: readonly {
    readonly name: string;
    readonly replay_safe?: boolean | undefined;
    readonly output_schema?: { readonly [keyword: string]: JsonValue } | undefined;
  }[];
}

export interface LiveRules {
  /** Also what is not marked `replay_safe`. */
  readonly unsafe: boolean;
  /** No more calls than this. */
  readonly max: number;
}

export interface Task {
  readonly agent_id: string;
  readonly capability: string;
  readonly parameters: Record<string, JsonValue>;
  readonly context: Record<string, JsonValue>;
}

export type Planned =
  | { readonly send: Task }
  | { readonly skipped: string }
  /** The id of the contract in which the task was tried again: that one is compared. */
  | { readonly repeated: string };

/** Ends in which the agent was not asked, or not heard to the end: there is nothing to compare with. */
const UNHEARD: Readonly<Record<string, string>> = {
  no_agent: 'nobody was asked then',
  breaker_open: 'nobody was asked then',
  cancelled: 'it was cancelled then',
  interrupted: 'whether the agent acted then is unknown',
};

export class LivePlan {
  calls = 0;

  constructor(
    private readonly agents: readonly AgentNow[],
    private readonly rules: LiveRules,
  ) {}

  /** In the order of the session: what is asked later may build on what was asked before. */
  add(contract: ContractThen): Planned {
    const repeated = nextOf(contract);
    if (repeated !== null) return { repeated };
    const skipped = notComparable(contract) ?? (this.calls < this.rules.max ? null : `more than ${this.rules.max} calls (--max)`);
    if (skipped !== null) return { skipped };
    const choice = whom(contract, this.agents, this.rules.unsafe);
    if (typeof choice === 'string') return { skipped: choice };
    this.calls += 1;
    return { send: choice };
  }
}

/** The RESPONSE names the next attempt where there is to be one. */
function nextOf({ response }: ContractThen): string | null {
  const { next } = response;
  return isObject(next) && typeof next['contract_id'] === 'string' ? next['contract_id'] : null;
}

function notComparable({ status, error_code, capability, gone, request }: ContractThen): string | null {
  if (gone !== null) return `its payload is ${gone}`;
  if (status === 'pending') return 'it had not ended';
  if (error_code !== null && error_code in UNHEARD) return UNHEARD[error_code]!;
  if (capability === null || !isObject(request['parameters'])) return 'the record does not say what was asked';
  return null;
}

/** The agent of then where it still offers the capability, else the first that does; told by name, so that nobody else can get it. */
function whom({ agent_id, capability, request }: ContractThen, agents: readonly AgentNow[], unsafe: boolean): Task | string {
  const offering = agents.filter((agent) => offerOf(agent, capability!) && agent.status !== 'stopped');
  const agent = offering.find((one) => one.agent_id === agent_id) ?? offering[0];
  if (!agent) return `nobody offers "${capability}" today`;
  if (!unsafe && offerOf(agent, capability!)!.replay_safe !== true)
    return `"${capability}" of ${agent.agent_id} is not marked replay_safe (--unsafe sends it)`;
  const { parameters, context } = request;
  return {
    agent_id: agent.agent_id,
    capability: capability!,
    parameters: parameters as Record<string, JsonValue>,
    context: isObject(context) ? context : {},
  };
}

export const offerOf = ({ capabilities }: AgentNow, capability: string) => capabilities.find(({ name }) => name === capability);

/** How the contract ended then. */
export function endingOf({ status, error_code, response }: ContractThen): Ending {
  const { result = null, text, files = [] } = response;
  return { status: status as Ending['status'], error_code, result, text: typeof text === 'string' ? text : null, files };
}

/** Words like `[capability=]comparator`; what none is about is compared exactly. null: one is none. */
export function comparatorsOf(words: readonly string[]): ((capability: string) => Comparator) | null {
  const named = words.map((word) => [word.slice(0, Math.max(0, word.lastIndexOf('='))), word.slice(word.lastIndexOf('=') + 1)] as const);
  if (!named.every(([, comparator]) => (COMPARATORS as readonly string[]).includes(comparator))) return null;
  const chosen = new Map(named as readonly (readonly [string, Comparator])[]);
  return (capability) => chosen.get(capability) ?? chosen.get('') ?? 'exact';
}

const isObject = (value: JsonValue | undefined): value is Record<string, JsonValue> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
