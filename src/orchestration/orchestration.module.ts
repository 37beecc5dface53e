import { Module } from '@nestjs/common';
import { AgentRegistryModule } from '../agents/agents.module.js';
import { Calls } from './calls.system.js';
import { OrchestrateHandler, SessionCancelledHandler } from './orchestrate.commands.js';
import { TaskContext } from './task-context.postgres.js';

@Module({ imports: [AgentRegistryModule], providers: [Calls, TaskContext, OrchestrateHandler, SessionCancelledHandler], exports: [Calls] })
export class OrchestrationModule {}
