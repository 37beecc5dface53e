import { type DynamicModule, Module } from '@nestjs/common';
import { AgentProtocols } from '../agents/agent-protocols.js';
import { AgentSource } from '../agents/agent-source.js';
import { ConfiguredAgents } from './agents/configured-agents.system.js';
import { Outgoing } from './agents/outgoing.client.js';
import { Protocols } from './agents/protocols.client.js';

/** The agents file is the operator's own word: its agents may be anywhere but where no agent ever is. */
const OPERATORS = ['loopback', 'private'];

/** Every outgoing connection. */
@Module({})
export class IntegrationModule {
  /** `networks`: where agents may be whose address came from outside. */
  static with(agentsFile: string, networks: readonly string[], log: (message: string) => void): DynamicModule {
    const configured = () => new ConfiguredAgents(agentsFile, new Protocols(new Outgoing(OPERATORS)).all, { log });
    return {
      module: IntegrationModule,
      global: true,
      providers: [
        { provide: AgentSource, useFactory: configured },
        { provide: AgentProtocols, useFactory: () => new Protocols(new Outgoing(networks)) },
      ],
      exports: [AgentSource, AgentProtocols],
    };
  }
}
