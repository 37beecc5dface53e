/** Real ledgers for verify to read, written as the program writes them. */
import type { VerifyScope } from '../../src/audit/verify.js';
import { verifyLedger } from '../../src/audit/verify.postgres.js';
import type { Verdict } from '../../src/audit/verify-verdict.js';
import { newId } from '../../src/kernel/ids.system.js';
import { Appender } from '../../src/ledger/append.worker.js';
import type { Intent } from '../../src/ledger/batch.js';
import type { Database, Tx } from '../../src/ledger/database.postgres.js';
import { newDisclosure, newDraft } from '../../src/ledger/draft.system.js';
import type { Draft, Members } from '../../src/ledger/record.js';
import { sequence } from '../../src/ledger/sequence.postgres.js';

const CALL = { from: 'orchestrator', to: 'echo_agent', to_version: '1.0.0', capability: 'echo' };

export class Recorder {
  readonly appender: Appender;

  constructor(private readonly db: Database) {
    this.appender = new Appender(db);
  }

  async append(stream: string, draft: Draft, more: Partial<Intent> = {}): Promise<string> {
    const result = await this.appender.append({ ...more, stream, drafts: [draft] }, 20_000);
    if (result.refusal) throw new Error(`refused: ${JSON.stringify(result.refusal)}`);
    return draft.id;
  }

  /** A session of so many contracts, the first of which failed. `open`: its last REQUEST has no RESPONSE. */
  async session(name: string, contracts: number, open = false): Promise<string> {
    const stream = `default/session/${newId()}`;
    const opening = { tenant: 'default', name, after: null, disclosure: newDisclosure('session', name) };
    for (let i = 0; i < contracts; i++) {
      const members: Members = { ...CALL, task: newId(), cause: newId(), status: 'pending' };
      const draft = newDraft('contract.request', members, { parameters: { message: `hello ${i}` }, routing: { why: 'only one' } });
      const request = await this.append(stream, draft, { opening: i === 0 ? opening : undefined, open: { owner: 'test', seconds: 60 } });
      if (open && i === contracts - 1) break;
      const end: Members = i === 0 ? { status: 'failed', error_code: 'agent_error' } : { status: 'completed' };
      await this.append(
        stream,
        newDraft(
          'contract.response',
          { ...members, from: 'echo_agent', to: 'orchestrator', in_reply_to: request, ...end },
          { result: `Echo: hello ${i}` },
        ),
      );
    }
    return stream;
  }

  async emptySession(name: string): Promise<void> {
    const opening = { tenant: 'default', name, after: null, disclosure: newDisclosure('session', name) };
    await this.append(`default/session/${newId()}`, newDraft('session.closed', { reason: 'requested' }), { opening });
  }

  /** So many events in one go. */
  async health(stream: string, events: number): Promise<void> {
    const drafts = Array.from({ length: events }, () => newDraft('agent.health', {}, { state: 'well' }));
    await this.appender.append({ stream, drafts }, 20_000);
  }

  async sequenceAll(): Promise<void> {
    while ((await sequence(this.db, 0, 5000)).n > 0);
  }
}

export async function verdictOf(db: Tx, scope: VerifyScope = {}): Promise<Verdict> {
  const messages = [];
  for await (const message of verifyLedger(db, scope)) messages.push(message);
  return messages.at(-1) as Verdict;
}

/** What `work` changes is undone after it. */
export async function undone(db: Database, work: (tx: Tx) => Promise<void>): Promise<void> {
  const enough = new Error('enough');
  await expect(
    db.transaction(async (tx) => {
      await work(tx);
      throw enough;
    }),
  ).rejects.toBe(enough);
}
