import { type DynamicModule, Module } from '@nestjs/common';
import { AgentSource } from '../agents/agent-source.js';
import { ConfiguredAgents } from './agents/configured-agents.system.js';

/** Every outgoing connection. */
@Module({})
export class IntegrationModule {
  static with(agentsFile: string, log: (message: string) => void): DynamicModule {
    return {
      module: IntegrationModule,
      providers: [{ provide: AgentSource, useFactory: () => new ConfiguredAgents(agentsFile, { log }) }],
      exports: [AgentSource],
    };
  }
}
