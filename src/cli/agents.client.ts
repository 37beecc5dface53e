/** What the command line asks a running orchestrator about agents. */
import type { z } from 'zod';
import type { OrchestratorClient } from './orchestrator.client.js';
import { AgentsPage, ListedAgent, Looked, RegisteredAgents, RetiredAgent, ShownAgent } from './orchestrator.schema.js';

/** Every address agents were discovered at may take its five seconds, sixteen at a time. */
const REFRESH_MS = 330_000;

const pathOf = (id: string) => `v1/agents/${encodeURIComponent(id)}`;

export class AgentsClient {
  constructor(private readonly orchestrator: OrchestratorClient) {}

  list(): Promise<z.output<typeof AgentsPage>> {
    return this.orchestrator.ask('v1/agents', AgentsPage, { method: 'GET' });
  }

  show(id: string, at?: string): Promise<z.output<typeof ShownAgent>> {
    const when = at === undefined ? '' : `?at=${encodeURIComponent(at)}`;
    return this.orchestrator.ask(`${pathOf(id)}${when}`, ShownAgent, { method: 'GET' });
  }

  register(body: { url: string }): Promise<z.output<typeof RegisteredAgents>> {
    return this.orchestrator.ask('v1/agents', RegisteredAgents, { method: 'POST', body, milliseconds: REFRESH_MS });
  }

  refresh(url?: string): Promise<z.output<typeof Looked>> {
    const body = url === undefined ? {} : { url };
    return this.orchestrator.ask('v1/agents/refresh', Looked, { method: 'POST', body, milliseconds: REFRESH_MS });
  }

  turn(id: string, what: 'start' | 'stop'): Promise<ListedAgent> {
    return this.orchestrator.ask(`${pathOf(id)}/${what}`, ListedAgent, { method: 'POST' });
  }

  retire(id: string): Promise<z.output<typeof RetiredAgent>> {
    return this.orchestrator.ask(pathOf(id), RetiredAgent, { method: 'DELETE' });
  }
}
