/** What went on in a session lately, as a language model that routes is shown it: a few calls, and of each no more than the beginning. */
import { Injectable } from '@nestjs/common';
import type { PastContract } from '../contracts/conversation.js';
import { historyOf } from '../contracts/history.postgres.js';
import { Sessions } from '../contracts/sessions.postgres.js';
import type { JsonValue } from '../kernel/json.js';
import { Database, type Tx } from '../ledger/database.postgres.js';
import type { RecentTurns } from './prompt.js';

const TURNS = 6;
const MOST_CHARACTERS = 600;

@Injectable()
export class SessionTurns {
  constructor(
    private readonly db: Database,
    private readonly sessions: Sessions,
  ) {}

  async of(tenant: string, name: string): Promise<RecentTurns> {
    const row = await this.sessions.find(tenant, name);
    return row ? recentTurns(this.db, [...row.earlier, row.stream]) : { turns: [], previous: null };
  }
}

/** `before`: as it was before this seq of the last stream. */
export async function recentTurns(tx: Tx, streams: readonly string[], before?: number): Promise<RecentTurns> {
  const past = await historyOf(tx, streams, TURNS, before);
  return { turns: past.map(shown), previous: past[0]?.agent_id ?? null };
}

function shown({ agent_id, capability, status, parameters, result, text, error }: PastContract): JsonValue {
  const answer = text ?? error ?? result;
  return { agent_id, capability, status, parameters: cut(parameters), answer: cut(answer) };
}

function cut(value: JsonValue): JsonValue {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= MOST_CHARACTERS ? value : `${text.slice(0, MOST_CHARACTERS)}…`.toWellFormed();
}
