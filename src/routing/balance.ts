/**
 * Who among several that can do the same is next. Pure: what the numbers are made of comes in; `Turns` changes only when it is told who was
 * taken. Over any number of replicas each levels what it does itself, which levels the sum.
 */
import { LRUCache } from 'lru-cache';

export const BALANCING = ['round_robin', 'weighted_round_robin', 'least_connections', 'score'] as const;
export type Balancing = (typeof BALANCING)[number];

/** What is known of one of them. */
export interface Share {
  /** When it is next in turn: the least is. Infinity: only when nobody else is left. */
  readonly turn: number;
  /** Calls under way: of this replica, of the others as far as this one has heard, and how many replicas there are. */
  readonly running: { readonly here: number; readonly elsewhere: number; readonly replicas: number };
  /** Most calls it takes at a time, where it says. */
  readonly capacity: number | undefined;
  /** How its latest calls went; null: there were none. */
  readonly ways: { readonly latencyMs: number; readonly success: number } | null;
  /** 1: well, 0: not. */
  readonly health: number;
}

/** `score` decides, `turn` where it is the same. */
export interface Place {
  readonly score: number;
  readonly turn: number;
}

const SLOWEST_MS = 10_000;
const USUAL_CAPACITY = 10;
const PARTS = { latency: 0.3, success: 0.3, load: 0.2, health: 0.2 };

export function placeOf(balancing: Balancing, share: Share): Place {
  const turn = rounded(share.turn);
  switch (balancing) {
    case 'round_robin':
    case 'weighted_round_robin':
      return { score: turn, turn };
    case 'least_connections':
      return { score: rounded(loadOf(share.running)), turn };
    case 'score':
      return { score: rounded(scoreOf(share)), turn };
  }
}

/** Negative: `a` goes first. */
export function compare(balancing: Balancing, a: Place, b: Place): number {
  const byScore = balancing === 'score' ? b.score - a.score : a.score - b.score;
  return (Number.isNaN(byScore) ? 0 : byScore) || a.turn - b.turn || 0;
}

/**
 * Each replica that levels its own calls levels the sum. What others do is known late, and all of them know it: if each made up for small
 * differences, together they would overshoot, over and over. So only whole steps of it count, which is what keeps calls that hang elsewhere
 * from drawing more.
 */
const loadOf = ({ here, elsewhere, replicas }: Share['running']): number => here + Math.floor(elsewhere / (4 * Math.max(1, replicas)));

/** From 0 to 1. An agent that was never called is taken for quick and good: otherwise nobody would ever find out. */
function scoreOf({ ways, running, capacity = USUAL_CAPACITY, health }: Share): number {
  const latency = 1 - Math.min(ways?.latencyMs ?? 0, SLOWEST_MS) / SLOWEST_MS;
  const load = 1 - Math.min((running.here + running.elsewhere) / capacity, 1);
  return PARTS.latency * latency + PARTS.success * (ways?.success ?? 1) + PARTS.load * load + PARTS.health * health;
}

const rounded = (value: number): number => Math.round(value * 1e6) / 1e6;

interface Group {
  /** When the latest call began, in calls of weight 1. */
  readonly now: number;
  /** When the next call of each may begin. Who is not there may begin now. */
  readonly next: ReadonlyMap<string, number>;
}

/** Turns in proportion to weights: each call takes 1 ÷ weight of an agent's time, and whose next call would end first is next. */
export class Turns {
  private readonly groups = new LRUCache<string, Group>({ max: 10_000 });

  of(group: string, agentId: string, weight: number): number {
    return begin(this.groups.get(group) ?? START, agentId) + 1 / weight;
  }

  /** `present`: who could have been taken. Who could not, and comes back, has saved up nothing. */
  took(group: string, taken: { agentId: string; weight: number }, present: readonly string[]): void {
    const before = this.groups.get(group) ?? START;
    const now = begin(before, taken.agentId);
    const next = new Map([...before.next].filter(([, at]) => at > now));
    for (const id of present) next.set(id, begin(before, id));
    next.set(taken.agentId, now + (taken.weight > 0 ? 1 / taken.weight : 0));
    this.groups.set(group, { now, next });
  }
}

const START: Group = { now: 0, next: new Map() };

const begin = ({ now, next }: Group, agentId: string): number => next.get(agentId) ?? now;
