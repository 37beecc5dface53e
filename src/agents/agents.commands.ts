/**
 * Puts a configured agent on the record: an event in its stream when its description differs from the last one there. Any number of replicas
 * may do it at once; the seq they decided on lets one of them write, the others find their description already there.
 */
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { canonicalJson } from '../kernel/canonical.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import { loadStates } from '../ledger/append.postgres.js';
import { Appender } from '../ledger/append.worker.js';
import { Database } from '../ledger/database.postgres.js';
import { newDraft } from '../ledger/draft.system.js';
import { disclosedValues, payloadsOf } from '../ledger/payload.postgres.js';
import { lastOfTypes } from '../ledger/read.postgres.js';
import type { ConfiguredAgent } from './agent-source.js';
import { AgentRegistry } from './directory.js';

/** Tenant of the agents that come with the configuration. */
export const CONFIGURED_TENANT = 'default';

export class RegisterAgent extends Command<{ record: string; changed: boolean }> {
  constructor(readonly agent: ConfiguredAgent) {
    super();
  }
}

@CommandHandler(RegisterAgent)
export class RegisterAgentHandler implements ICommandHandler<RegisterAgent> {
  constructor(
    private readonly db: Database,
    private readonly appender: Appender,
    private readonly registry: AgentRegistry,
  ) {}

  async execute({ agent }: RegisterAgent) {
    const { agent_id, version } = agent.description;
    const stream = `${CONFIGURED_TENANT}/agent/${agent_id}`;
    const described = {
      ...agent.description,
      protocol: agent.protocol,
      ...(agent.endpoint && { endpoint: agent.endpoint }),
    } as unknown as JsonValue;
    for (let attempt = 0; attempt < 20; attempt++) {
      const { seq } = (await loadStates(this.db, [stream])).get(stream)!;
      const last = await lastOfTypes(this.db, stream, ['agent.registered', 'agent.updated']);
      const before = last && disclosedValues((await payloadsOf(this.db, [last.id])).get(last.id))['description'];
      if (last && before !== undefined && canonicalJson(before) === canonicalJson(described)) {
        return this.enter(agent, { record: last.hash.toString('hex'), time: last.time, changed: false });
      }
      const type = last ? 'agent.updated' : 'agent.registered';
      const draft = newDraft(type, { version, ...(last && { cause: last.event_id }) }, { description: described });
      const result = await this.appender.append({ stream, drafts: [draft], expectSeq: seq });
      if (!result.refusal) return this.enter(agent, { record: result.placed[0]!.hash.toString('hex'), time: draft.time, changed: true });
    }
    throw new OrchestratorError(
      'ledger_unavailable',
      `agent ${agent_id} could not be registered: other replicas kept changing its description`,
    );
  }

  private enter(agent: ConfiguredAgent, known: { record: string; time: string; changed: boolean }) {
    this.registry.put({ ...agent, record: known.record, registered_at: known.time });
    return { record: known.record, changed: known.changed };
  }
}
