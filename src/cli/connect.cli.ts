/** What the commands that speak to a running orchestrator have in common. */
import type { Command } from 'commander';
import type { Terminal } from '../kernel/terminal.system.js';
import type { OrchestratorClient } from './orchestrator.client.js';

export interface ConnectOptions {
  readonly url?: string;
  readonly token?: string;
}

export const WHERE_IT_LOOKS = `
The orchestrator is looked for at --url, else ORCHESTRATOR_URL, else port ORCHESTRATOR_PORT of this machine,
else where the process that holds the embedded database (DATA_DIR) listens, else http://127.0.0.1:8888.
`;

export function connecting(command: Command): Command {
  return command
    .option('--url <url>', 'where the orchestrator is')
    .option('--token <token>', 'bearer token; better in ORCHESTRATOR_TOKEN, where other users of this machine cannot see it');
}

export async function connect(options: ConnectOptions, { env }: Terminal): Promise<OrchestratorClient> {
  const { OrchestratorClient } = await import('./orchestrator.client.js');
  const { findServer } = await import('./find-server.system.js');
  return new OrchestratorClient(await findServer(options, env));
}
