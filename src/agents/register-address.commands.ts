/** Registers who was named from outside: by a full description, or by nothing but an address. */
import { Command, CommandBus, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import { Database } from '../ledger/database.postgres.js';
import { AgentProtocols } from './agent-protocols.js';
import { type By, RegisterAgent } from './agents.commands.js';
import { findAt } from './find-at.system.js';
import type { Registration, Source } from './registration.js';
import { noteLook } from './sources.postgres.js';

const sourceOf = ({ tenant, principal }: By): Source => ({ by: 'api', tenant, ...(principal !== null && { principal }) });

/** Registers an agent as it is described. `replace`: it must be there already. */
export class RegisterDescribed extends Command<{ agent_id: string; changed: boolean }> {
  constructor(
    readonly description: Registration,
    readonly by: By,
    readonly replace: boolean,
  ) {
    super();
  }
}

@CommandHandler(RegisterDescribed)
export class RegisterDescribedHandler implements ICommandHandler<RegisterDescribed> {
  constructor(
    private readonly protocols: AgentProtocols,
    private readonly commands: CommandBus,
  ) {}

  async execute({ description, by, replace }: RegisterDescribed) {
    const { agent_id, protocol, endpoint } = description;
    const spoken = this.protocols.all.map(({ name }) => name);
    if (!spoken.includes(protocol)) throw wrong('protocol', `"${protocol}" is not spoken here, but ${spoken.join(', ')}`);
    if (endpoint === undefined) throw wrong('endpoint', 'is missing: where is the agent called?');
    await this.protocols.check(endpoint);
    const { changed } = await this.commands.execute(new RegisterAgent(description, sourceOf(by), { replace }));
    return { agent_id, changed };
  }
}

/** Registers everybody who lives at an address. It is looked at again from then on. */
export class RegisterAddress extends Command<{ agents: string[]; changed: string[]; errors: string[] }> {
  constructor(
    readonly url: string,
    readonly by: By,
  ) {
    super();
  }
}

@CommandHandler(RegisterAddress)
export class RegisterAddressHandler implements ICommandHandler<RegisterAddress> {
  constructor(
    private readonly protocols: AgentProtocols,
    private readonly commands: CommandBus,
    private readonly db: Database,
  ) {}

  async execute({ url, by }: RegisterAddress) {
    await this.protocols.check(url);
    const found = await findAt(this.protocols, { url });
    if (found === 'unchanged') throw new OrchestratorError('agent_not_understood', `${url} answered as if it had been asked before`);
    const [agents, changed, errors]: [string[], string[], string[]] = [[], [], [...found.errors]];
    let refusal: OrchestratorError | null = null;
    for (const { description, document, signature } of found.agents) {
      const source = { ...sourceOf(by), url, ...(signature && { signature }) };
      try {
        const registered = await this.commands.execute(new RegisterAgent(description, source, { document }));
        agents.push(description.agent_id);
        if (registered.changed) changed.push(description.agent_id);
      } catch (error) {
        if (!(error instanceof OrchestratorError)) throw error;
        refusal = error;
        errors.push(error.message);
      }
    }
    // Nobody could be registered: that is no success.
    if (agents.length === 0) throw refusal ?? new OrchestratorError('agent_not_understood', errors.join('; ') || `${url} lists no agent`);
    await noteLook(this.db, url, { protocol: found.protocol, etag: found.etag });
    return { agents, changed, errors };
  }
}

const wrong = (field: string, message: string) =>
  new OrchestratorError('invalid_request', `${field}: ${message}`, { fields: [{ field, message }] });
