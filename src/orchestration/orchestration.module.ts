import { type Abstract, type DynamicModule, Module } from '@nestjs/common';
import { AgentRegistryModule } from '../agents/agents.module.js';
import { Calls } from './calls.system.js';
import { OrchestrateHandler, SessionCancelledHandler } from './orchestrate.commands.js';
import { Recall } from './recall.js';

@Module({ imports: [AgentRegistryModule], providers: [Calls, OrchestrateHandler, SessionCancelledHandler], exports: [Calls] })
export class OrchestrationModule {
  /** `memory`: the provider that serves as Recall. The rooms stand side by side, so neither knows the other. */
  static recalling(memory: Abstract<Recall>): DynamicModule {
    return { module: OrchestrationModule, providers: [{ provide: Recall, useExisting: memory }] };
  }
}
