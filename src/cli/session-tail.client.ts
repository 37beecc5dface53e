/**
 * Reads the contracts of a session from its first on, and then what comes. A cursor is only given out while there is more, so at the end
 * the last event is asked for again: behind it stands what is new, and that it is still there shows that it is still the same record.
 */
import { OrchestratorError } from '../kernel/errors.js';
import type { OrchestratorClient } from './orchestrator.client.js';
import type { ContractHalf, ContractsPage } from './orchestrator.schema.js';

const PAGE = 100;

export class SessionTail {
  private cursor: string | undefined;
  /** How many events behind the cursor are known already, and the last of them. */
  private known = 0;
  private last: string | undefined;
  private page = PAGE;

  /** `type`: only these halves. */
  constructor(
    private client: OrchestratorClient,
    private readonly session: string,
    private readonly type?: 'REQUEST',
  ) {}

  /** Whether the session is there. */
  get begun(): boolean {
    return this.last !== undefined;
  }

  /** The same session, from the same place on, at another address. */
  moveTo(client: OrchestratorClient): void {
    this.client = client;
  }

  /** What is new, in order, and whether more of it can be read at once. */
  async next(signal?: AbortSignal): Promise<{ fresh: ContractHalf[]; more: boolean }> {
    while (this.known > 1) await this.approach(signal);
    const { contracts, next_cursor } = await this.read(this.page, signal);
    this.expectLast(contracts[this.known - 1]?.contract_id);
    const fresh = contracts.slice(this.known);
    this.last = contracts.at(-1)?.contract_id ?? this.last;
    this.known = next_cursor === null ? contracts.length : 0;
    this.cursor = next_cursor ?? this.cursor;
    return { fresh, more: next_cursor !== null };
  }

  /** Moves the cursor towards the last known event, so that asking again and again costs one event each. */
  private async approach(signal?: AbortSignal): Promise<void> {
    const { contracts, next_cursor } = await this.read(this.known - 1, signal);
    if (next_cursor === null) return this.expectLast(undefined);
    this.cursor = next_cursor;
    this.known -= contracts.length;
  }

  private expectLast(found: string | undefined): void {
    if (this.known === 0 || found === this.last) return;
    const what = `the record of session "${this.session}" no longer continues at contract ${this.last}, where reading stopped`;
    throw new OrchestratorError('invalid_request', `${what}: this is another ledger; see which server answers, then start again`);
  }

  private async read(limit: number, signal?: AbortSignal): Promise<ContractsPage> {
    const { session: session_id, type, cursor } = this;
    try {
      return await this.client.contracts({ session_id, limit, type, cursor }, signal);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      if (error.code === 'not_found' && !this.begun) return { contracts: [], total: 0, next_cursor: null };
      if (error.code !== 'payload_too_large' || limit === 1) throw error;
      this.page = Math.ceil(limit / 10); // contracts of many megabytes
      return this.read(this.page, signal);
    }
  }
}
