/** The rungs for what somebody just says: rules, the ranking by words, a language model, the fallback agent, an honest "nobody fits". */
import type { RegisteredAgent } from '../agents/directory.js';
import type { JsonValue } from '../kernel/json.js';
import { isAble, weigh } from './candidates.js';
import { type Ask, type Deciding, type Decision, decision, type Knowledge, list, type Question } from './decision.js';
import { type Evidence, type Method, nearby, recorded } from './evidence.js';
import { schemaOf } from './handover.js';
import type { Match, Ranking } from './lexicon.js';
import { meaning, type Reply, readReply, type Shortlist, shown } from './model-answer.js';
import type { RuleMatch } from './rules.js';

interface Within {
  readonly reply?: Reply | undefined;
  /** Only this agent is asked for. */
  readonly agent?: RegisteredAgent | undefined;
}

/** What a rung would do. */
interface Step {
  readonly method: Method;
  readonly agents: readonly RegisteredAgent[];
  readonly capability: string;
  readonly confidence?: number;
  /** The model chose it itself. */
  readonly first?: RegisteredAgent;
  /** What the model read out of the message. */
  readonly parameters?: Record<string, JsonValue>;
}

/** Of those who offer the same capability, who fits the message nearly as well as the best. */
const AS_GOOD = 0.8;
/** Rules that are named in the evidence. */
const MOST_RULES = 5;

export function byMessage(message: string, question: Question, knowledge: Knowledge, { reply, agent }: Within): Decision | Ask {
  const { threshold, strategy } = knowledge;
  const rules = knowledge.rules.match(message).filter((rule) => offering(rule, knowledge, agent).length > 0);
  const byRule = rules[0] && isSure(rules[0], knowledge) ? ruleStep(rules[0], knowledge, agent) : undefined;
  const ranking = byRule && strategy !== 'llm' ? null : knowledge.lexicon().rank(message, agent);
  const sure = byRule ?? (ranking && isSure(ranking, knowledge) ? lexicalStep(ranking) : undefined);

  let proposed: Step | { why: string } | undefined;
  if (strategy === 'llm' || (strategy === 'hybrid' && !sure)) {
    const asked = askModel(question, knowledge, { reply, agent, ranking });
    if ('ask' in asked) return asked;
    proposed = asked;
  }
  const refused = proposed && 'why' in proposed ? [{ from: 'llm' as const, why: proposed.why }] : [];
  const step = proposed && 'method' in proposed ? proposed : (sure ?? fallbackStep(knowledge, agent));
  const evidence: Partial<Evidence> = {
    strategy,
    threshold,
    ...(step?.confidence !== undefined && { confidence: step.confidence }),
    ...(rules.length > 0 && { rules: rules.slice(0, MOST_RULES) }),
    ...(ranking && { lexical: { confidence: ranking.confidence, ...shareOfMeaning(ranking) } }),
    ...(reply && { llm: reply }),
    ...(refused.length > 0 && { fell_back: refused }),
  };
  const matches = ranking?.matches ?? [];
  return step ? taken(step, question, { knowledge, evidence, matches }) : nobodyFits(matches, knowledge, evidence);
}

const isSure = ({ confidence }: { confidence: number }, { threshold }: Knowledge): boolean => confidence >= threshold;

/** Of how near the nearest is. */
function shareOfMeaning({ matches: [best] }: Ranking): { meaning?: number } {
  return best ? { meaning: Math.round((100 * best.meaning) / (best.score + best.meaning)) / 100 } : {};
}

/** What the model proposes, that it must be asked first, or why it has no say. */
function askModel(
  question: Question,
  knowledge: Knowledge,
  { reply, agent, ranking }: Within & { ranking: Ranking | null },
): Ask | Step | { why: string } {
  if (knowledge.shown === null) return { why: 'no language model is configured' };
  if (reply) return modelStep(reply, knowledge, agent);
  const ask = shortlist(question, knowledge, { most: knowledge.shown, ranking, agent });
  return ask.of > 0 ? { ask } : { why: 'there is no candidate it could choose' };
}

const ruleStep = (rule: RuleMatch, knowledge: Knowledge, among?: RegisteredAgent): Step => ({
  method: 'rule',
  agents: offering(rule, knowledge, among),
  capability: rule.capability,
  confidence: rule.confidence,
});

function offering({ capability, agent_id }: Pick<RuleMatch, 'capability' | 'agent_id'>, { directory }: Knowledge, among?: RegisteredAgent) {
  const only = among?.description.agent_id ?? agent_id;
  return directory.offering(capability).filter(({ description }) => only === undefined || description.agent_id === only);
}

function lexicalStep({ matches, confidence }: Ranking): Step | undefined {
  const [best] = matches;
  if (!best) return undefined;
  const { capability } = best;
  const alike = matches.filter((match) => match.capability === capability && match.score >= AS_GOOD * best.score);
  return { method: 'lexical', capability, confidence, agents: alike.map((match) => match.agent) };
}

/** The candidates the model is shown: who cannot take it is not among them, and of those who mean the same only who is next. */
function shortlist(
  question: Question,
  knowledge: Knowledge,
  { most, ranking, agent }: { most: number; ranking: Ranking | null } & Within,
): Shortlist {
  const everything = (agent ? [agent] : knowledge.directory.all()).flatMap((one) =>
    one.description.capabilities.map(({ name }) => ({ agent: one, capability: name })),
  );
  const groups = new Map<string, { capability: string; agents: Set<RegisteredAgent> }>();
  for (const { agent: one, capability } of [...(ranking?.matches ?? []), ...everything]) {
    const key = meaning(one, capability);
    const group = groups.get(key) ?? { capability, agents: new Set() };
    group.agents.add(one);
    groups.set(key, group);
  }
  const next = [...groups.values()].flatMap(({ capability, agents }) => {
    const terms = { capability, message: question.message, given: question.parameters, preferred: question.preferred_protocol };
    const able = weigh([...agents], terms, knowledge).filter(isAble);
    const first = able.find((candidate) => candidate.agent.description.agent_id === question.previous) ?? able[0];
    return first ? [{ agent: first.agent, capability }] : [];
  });
  return { shown: next.slice(0, most).map(shown), of: next.length };
}

function modelStep(reply: Reply, knowledge: Knowledge, among: RegisteredAgent | undefined): Step | { why: string } {
  const read = readReply(reply);
  if ('why' in read) return read;
  const { capability, agent_id, confidence, parameters } = read;
  if (confidence < knowledge.threshold) return { why: `it is not sure enough: ${confidence} is below ${knowledge.threshold}` };
  const chosen = knowledge.directory.get(agent_id);
  const known = chosen?.description.capabilities.some(({ name }) => name === capability);
  if (!chosen || !known) return { why: `"${agent_id}" with "${capability}" is gone meanwhile` };
  const meant = meaning(chosen, capability);
  const others = among ? [] : knowledge.directory.offering(capability);
  const alike = others.filter((one) => one !== chosen && meaning(one, capability) === meant);
  return { method: 'llm', agents: [chosen, ...alike], first: chosen, capability, confidence, parameters };
}

function fallbackStep({ rules: { fallback }, directory }: Knowledge, among: RegisteredAgent | undefined): Step | undefined {
  const agent = fallback && !among ? directory.get(fallback.agent_id) : undefined;
  const [first, second] = agent?.description.capabilities ?? [];
  const capability = fallback?.capability ?? (second ? undefined : first?.name);
  if (!agent || capability === undefined || !agent.description.capabilities.some(({ name }) => name === capability)) return undefined;
  return { method: 'fallback', agents: [agent], capability };
}

/** What the caller gave is stronger than what the model read; and what it read counts only where it fits. */
function taken(
  step: Step,
  question: Question,
  deciding: Pick<Deciding, 'knowledge' | 'matches'> & { evidence: Partial<Evidence> },
): Decision {
  const { agents, capability, method, first, parameters } = step;
  const plainly = { ...deciding, method, first };
  if (parameters === undefined || Object.keys(parameters).length === 0) return decision(agents, capability, question, plainly);
  const tried = decision(agents, capability, { ...question, parameters: { ...parameters, ...question.parameters } }, plainly);
  const [choice] = tried.ranked;
  const why = choice && deciding.knowledge.misfit(schemaOf(choice.agent, capability), choice.parameters!);
  if (typeof why !== 'string') return tried;
  const fell_back = [...(deciding.evidence.fell_back ?? []), { from: 'llm' as const, why: `the parameters it read do not fit: ${why}` }];
  return decision(agents, capability, question, { ...plainly, evidence: { ...deciding.evidence, fell_back } });
}

function nobodyFits(matches: readonly Match[], knowledge: Knowledge, more: Partial<Evidence>): Decision {
  const nearest = nearby(matches);
  const names = nearest.map(({ agent_id, capability }) => `${capability} (${agent_id})`);
  const refused = names.length > 0 ? `nobody fits this message; the nearest are ${list(names)}` : 'nobody fits this message';
  const evidence: Evidence = { method: 'none', registry: knowledge.directory.position, candidates: nearest, ...more };
  return { ranked: [], refused, obstacle: nearest.length > 0 ? 'low_score' : null, evidence: recorded(evidence) };
}
