import { Module } from '@nestjs/common';
import { RegisterAgentHandler } from './agents.commands.js';
import { AgentRegistry } from './directory.js';

@Module({ providers: [AgentRegistry, RegisterAgentHandler], exports: [AgentRegistry] })
export class AgentRegistryModule {}
