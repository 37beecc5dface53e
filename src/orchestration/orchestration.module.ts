import { Module } from '@nestjs/common';
import { Calls } from './calls.system.js';
import { OrchestrateHandler, SessionCancelledHandler } from './orchestrate.commands.js';

@Module({ providers: [Calls, OrchestrateHandler, SessionCancelledHandler], exports: [Calls] })
export class OrchestrationModule {}
