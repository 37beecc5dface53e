import { Module } from '@nestjs/common';
import { Calls } from './calls.system.js';
import { OrchestrateHandler, SessionCancelledHandler } from './orchestrate.commands.js';
import { TaskContext } from './task-context.postgres.js';

@Module({ providers: [Calls, TaskContext, OrchestrateHandler, SessionCancelledHandler], exports: [Calls] })
export class OrchestrationModule {}
