import { Module } from '@nestjs/common';
import { RegisterAgentHandler } from './agents.commands.js';
import { AgentRegistry } from './directory.js';
import { HealthChecks } from './health.system.js';

@Module({ providers: [AgentRegistry, HealthChecks, RegisterAgentHandler], exports: [AgentRegistry, HealthChecks] })
export class AgentRegistryModule {}
