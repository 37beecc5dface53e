/** Decides who gets each task: the pure `route()` with what this process knows now, and a language model where that is not enough. */
import type { AgentRegistry, RegisteredAgent } from '../agents/directory.js';
import { misfit } from '../agents/schema-check.system.js';
import { OrchestratorError } from '../kernel/errors.js';
import { askClassifier } from './ask.system.js';
import type { Balancer } from './balancer.system.js';
import type { Classifier } from './classifier.js';
import type { Conditions } from './conditions.js';
import type { Decision, Knowledge, Question, Strategy } from './decision.js';
import { Lexicon } from './lexicon.js';
import type { Meanings } from './meanings.js';
import type { Reply, Shortlist } from './model-answer.js';
import type { RecentTurns } from './prompt.js';
import type { SessionTurns } from './recent-turns.postgres.js';
import { route } from './route.js';
import type { Rules } from './rules.js';

/** What is to be decided, and where it belongs. */
export interface Asking extends Question {
  /** The conversation it is part of; absent: of none. */
  readonly session_id?: string | undefined;
  /** Milliseconds since 1970: when the whole task must have ended. */
  readonly deadline: number;
}

export interface RouterSettings {
  readonly strategy: Strategy;
  readonly threshold: number;
  /** Most candidates a model is shown. */
  readonly shown: number;
  /** For all attempts to ask the model together. */
  readonly timeoutMs: number;
}

export interface Around {
  readonly conditions: Pick<Conditions, 'of'>;
  readonly balancer: Balancer;
  readonly turns: Pick<SessionTurns, 'of'>;
  readonly rules: Rules;
  readonly meanings: Meanings;
  /** null: there is none. */
  readonly model: Classifier | null;
}

const NO_TURNS: RecentTurns = { turns: [], previous: null };

export class Router {
  private readonly knowledge: Knowledge;
  private lexicon: { agents: readonly RegisteredAgent[]; index: Lexicon } | null = null;

  constructor(
    private readonly registry: AgentRegistry,
    private readonly around: Around,
    private readonly settings: RouterSettings,
  ) {
    const { conditions, balancer, rules, model } = around;
    this.knowledge = {
      directory: registry,
      condition: (agentId, record) => conditions.of(agentId, record),
      balancing: balancer.balancing,
      place: (capability, agent) => balancer.place(capability, agent),
      misfit: (schema, value) => misfit(schema, value, '/parameters'),
      rules,
      lexicon: () => this.words(),
      strategy: settings.strategy,
      threshold: settings.threshold,
      shown: model && settings.shown,
    };
  }

  /** Who gets the task. At once, unless a model must be asked. */
  decide(asking: Asking, tenant: string): Decision | Promise<Decision> {
    const decided = this.look(asking, tenant);
    return decided instanceof Promise ? decided.then((decision) => this.taken(decision)) : this.taken(decided);
  }

  /** The same without giving it to anybody: it is nobody's turn. */
  look(asking: Asking, tenant: string, strategy: Strategy = this.settings.strategy): Decision | Promise<Decision> {
    const knowledge = strategy === this.settings.strategy ? this.knowledge : { ...this.knowledge, strategy };
    const routed = route(asking, knowledge);
    return 'ask' in routed ? this.ask(asking, tenant, knowledge) : routed;
  }

  private taken(decision: Decision): Decision {
    const [first, ...others] = decision.ranked;
    if (first && others.length > 0) this.around.balancer.took(first.capability, [first.agent, ...others.map(({ agent }) => agent)]);
    return decision;
  }

  private async ask(asking: Asking, tenant: string, knowledge: Knowledge): Promise<Decision> {
    const { session_id } = asking;
    const recent = session_id === undefined ? NO_TURNS : await this.around.turns.of(tenant, session_id);
    const question = { ...asking, previous: recent.previous };
    const routed = route(question, knowledge);
    if (!('ask' in routed)) return routed;
    const decided = route(question, knowledge, await this.reply(asking, routed.ask, recent));
    if ('ask' in decided) throw new OrchestratorError('internal', 'a model was asked, and is to be asked again');
    return decided;
  }

  private reply({ message = '', parameters, deadline }: Asking, shortlist: Shortlist, recent: RecentTurns): Promise<Reply> {
    const left = Math.max(1, Math.min(this.settings.timeoutMs, deadline - Date.now()));
    return askClassifier(this.around.model!, { message, given: parameters, recent }, shortlist, left);
  }

  /** Made again only when an agent is described otherwise than before; how they are makes no difference to it. */
  private words(): Lexicon {
    const agents = this.registry.all();
    if (this.lexicon?.agents === agents) return this.lexicon.index;
    const known = this.lexicon?.agents ?? [];
    const same = known.length === agents.length && agents.every(({ record }, i) => record === known[i]!.record);
    this.lexicon = { agents, index: same ? this.lexicon!.index.over(agents) : new Lexicon(agents, this.around.meanings) };
    return this.lexicon.index;
  }
}
