import { type DynamicModule, Module } from '@nestjs/common';
import { AgentProtocols } from '../agents/agent-protocols.js';
import { AgentSource } from '../agents/agent-source.js';
import { ConfiguredAgents } from './agents/configured-agents.system.js';
import { Outgoing } from './agents/outgoing.client.js';
import { Protocols } from './agents/protocols.client.js';
import type { Credentials } from './tokens/credentials.client.js';

/** The agents file is the operator's own word: its agents may be anywhere but where no agent ever is. */
const OPERATORS = ['loopback', 'private'];

/** Every Outgoing, to be closed after all clients. */
export const WAYS_OUT = Symbol('WAYS_OUT');

interface Surroundings {
  readonly agentsFile: string;
  /** Where agents may be whose address came from outside. */
  readonly networks: readonly string[];
  readonly credentials: Credentials;
  log(message: string): void;
}

/** Every outgoing connection. */
@Module({})
export class IntegrationModule {
  static with({ agentsFile, networks, credentials, log }: Surroundings): DynamicModule {
    const over = (where: readonly string[]) => new Outgoing(where, undefined, credentials);
    const [known, strange] = [over(OPERATORS), over(networks)];
    const configured = () => new ConfiguredAgents(agentsFile, new Protocols(known).all, { credentials, log });
    return {
      module: IntegrationModule,
      global: true,
      providers: [
        { provide: AgentSource, useFactory: configured },
        { provide: AgentProtocols, useFactory: () => new Protocols(strange) },
        { provide: WAYS_OUT, useValue: [known, strange] },
      ],
      exports: [AgentSource, AgentProtocols],
    };
  }
}
