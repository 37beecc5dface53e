/**
 * Which agent gets the task, and why. Pure: everything that decides comes in, a decision that can be recorded comes out, and the same in
 * gives the same out. Where a language model is to be asked that is what comes out; called again with what it said, the decision.
 */
import type { RegisteredAgent } from '../agents/directory.js';
import { type Ask, type Decision, decision, type Knowledge, list, nobody, type Question } from './decision.js';
import { byMessage } from './message.js';
import type { Reply } from './model-answer.js';

export function route(question: Question, knowledge: Knowledge, reply?: Reply): Decision | Ask {
  if (question.agent_id !== undefined) return byAgent(question.agent_id, question, knowledge, reply);
  if (question.capability !== undefined) return byCapability(question.capability, question, knowledge);
  return byMessage(question.message ?? '', question, knowledge, { reply });
}

function byCapability(capability: string, question: Question, knowledge: Knowledge): Decision {
  const offering = knowledge.directory.offering(capability);
  if (offering.length > 0) return decision(offering, capability, question, { knowledge, method: 'capability' });
  const known = knowledge.directory.capabilities();
  const offered = known.length > 0 ? `offered are ${list(known)}` : 'no agent is registered';
  return nobody(`no agent offers the capability "${capability}"; ${offered}`, { method: 'capability', knowledge });
}

function byAgent(agentId: string, question: Question, knowledge: Knowledge, reply: Reply | undefined): Decision | Ask {
  const agent = knowledge.directory.get(agentId);
  if (!agent) return nobody(`there is no agent "${agentId}"`, { method: 'agent_id', knowledge });
  const offered = agent.description.capabilities.map((c) => c.name);
  const wanted = question.capability ?? (offered.length === 1 ? offered[0]! : undefined);
  if (wanted !== undefined && offered.includes(wanted)) return decision([agent], wanted, question, { knowledge, method: 'agent_id' });
  if (wanted === undefined && question.message !== undefined) return byMessage(question.message, question, knowledge, { reply, agent });
  if (isStopped(agent)) return decision([agent], wanted ?? '', question, { knowledge, method: 'agent_id' });
  const why =
    wanted === undefined
      ? `agent "${agentId}" has several capabilities, name one: ${list(offered)}`
      : `agent "${agentId}" does not offer "${wanted}"; it offers ${list(offered)}`;
  return nobody(why, { method: 'agent_id', knowledge, candidates: [agentId] });
}

const isStopped = ({ status }: RegisteredAgent) => status === 'stopped' || status === 'retired';
