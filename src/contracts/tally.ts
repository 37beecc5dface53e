/** The fold behind the aggregate views: how many contracts of which agent and capability ended how, how many sessions were opened. */
import type { EventType } from '../ledger/record.js';

export interface TallyEvent {
  readonly stream: string;
  readonly seq: number;
  readonly type: EventType;
  readonly from_agent: string | null;
  readonly to_agent: string | null;
  readonly capability: string | null;
  readonly status: string | null;
}

export interface ContractTally {
  readonly tenant: string;
  readonly agent: string;
  readonly capability: string;
  readonly status: string;
  readonly n: number;
}

export interface SessionTally {
  readonly tenant: string;
  readonly state: 'opened' | 'closed';
  readonly n: number;
}

export function tally(events: readonly TallyEvent[]): { contracts: ContractTally[]; sessions: SessionTally[] } {
  const contracts = new Map<string, ContractTally>();
  const sessions = new Map<string, SessionTally>();
  for (const event of events) {
    const [tenant, kind] = event.stream.split('/') as [string, string];
    if (event.type === 'contract.request' || event.type === 'contract.response') {
      const request = event.type === 'contract.request';
      const agent = (request ? event.to_agent : event.from_agent) ?? '';
      const status = request ? 'requested' : (event.status ?? '');
      add(contracts, { tenant, agent: agent === 'orchestrator' ? '' : agent, capability: event.capability ?? '', status, n: 1 });
    }
    if (kind !== 'session') continue;
    if (event.seq === 1) add(sessions, { tenant, state: 'opened', n: 1 });
    if (event.type === 'session.closed') add(sessions, { tenant, state: 'closed', n: 1 });
  }
  return { contracts: [...contracts.values()], sessions: [...sessions.values()] };
}

function add<T extends { n: number }>(sums: Map<string, T>, one: T): void {
  const key = JSON.stringify({ ...one, n: 0 });
  const sum = sums.get(key);
  sums.set(key, sum ? { ...sum, n: sum.n + one.n } : one);
}
