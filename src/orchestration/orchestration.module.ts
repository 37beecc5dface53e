import { Module } from '@nestjs/common';
import { AgentRegistryModule } from '../agents/agents.module.js';
import { Calls } from './calls.system.js';
import { OrchestrateHandler, SessionCancelledHandler } from './orchestrate.commands.js';

@Module({ imports: [AgentRegistryModule], providers: [Calls, OrchestrateHandler, SessionCancelledHandler], exports: [Calls] })
export class OrchestrationModule {}
