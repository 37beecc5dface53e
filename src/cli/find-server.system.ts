/** Which orchestrator a command speaks to. */
import type { ZodSafeParseResult } from 'zod';
import { readConfig } from '../config.js';
import { OrchestratorError } from '../kernel/errors.js';
import { readLock } from '../ledger/data-dir-lock.system.js';
import { BearerToken, ServerUrl } from './client.settings.js';
import { DEFAULT, type Target } from './orchestrator.client.js';

interface Said {
  readonly url?: string;
  readonly token?: string;
}

/** What was said on the command line, else in the environment, else whoever holds the embedded directory, else the default. */
export async function findServer(said: Said, env: Readonly<Record<string, string | undefined>>): Promise<Target> {
  const config = readConfig({ ...env });
  const token = said.token === undefined ? config.ORCHESTRATOR_TOKEN : valid('--token', BearerToken.safeParse(said.token));
  if (said.url !== undefined) return { url: valid('--url', ServerUrl.safeParse(said.url)), from: '--url', token };
  if (config.ORCHESTRATOR_URL !== undefined) return { url: config.ORCHESTRATOR_URL, from: 'ORCHESTRATOR_URL', token };
  if (env['ORCHESTRATOR_PORT']?.trim() && config.ORCHESTRATOR_PORT !== 0) {
    return { url: originOf(config.HOST, config.ORCHESTRATOR_PORT), from: 'ORCHESTRATOR_PORT', token };
  }
  const holder = config.DATABASE_URL === undefined ? await readLock(config.DATA_DIR) : null;
  if (holder === null) return { url: originOf(config.HOST, 8888), from: DEFAULT, token };
  const held = `process ${holder.pid} holds ${config.DATA_DIR}`;
  if (holder.port === null) throw new OrchestratorError('ledger_unavailable', `${held} but serves nothing yet; try again`);
  return { url: originOf(config.HOST, holder.port), from: held, token };
}

function valid(option: string, parsed: ZodSafeParseResult<string>): string {
  if (parsed.success) return parsed.data;
  throw new OrchestratorError('invalid_request', `${option} ${parsed.error.issues[0]!.message}`);
}

/** Where this machine reaches what listens on `host`. */
export function originOf(host: string, port: number): string {
  const reachable = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
