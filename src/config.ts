/** The environment, read once into one frozen typed object. Nobody else reads settings there. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { AgentsSettings } from './agents/agents.settings.js';
import { ApiSettings } from './api/api.settings.js';
import { AuthSettings, tokenChecks } from './api/auth.settings.js';
import { AuditSettings } from './audit/audit.settings.js';
import { EraseSettings } from './audit/erase.settings.js';
import { ClientSettings } from './cli/client.settings.js';
import { ContractsSettings } from './contracts/contracts.settings.js';
import { AnchorSettings } from './integration/anchors/anchors.settings.js';
import { MemAgentSettings } from './integration/memagent/memagent.settings.js';
import { TraceSettings } from './integration/trace/trace.settings.js';
import { OrchestratorError } from './kernel/errors.js';
import { LogSettings } from './kernel/log.settings.js';
import { CheckpointSettings } from './ledger/checkpoint.settings.js';
import { LedgerSettings } from './ledger/ledger.settings.js';
import { MemorySettings } from './memory/memory.settings.js';
import { OrchestrationSettings } from './orchestration/orchestration.settings.js';
import { RoutingSettings } from './routing/routing.settings.js';

const Settings = z.object({
  ...ApiSettings.shape,
  ...AuthSettings.shape,
  ...LedgerSettings.shape,
  ...CheckpointSettings.shape,
  ...AnchorSettings.shape,
  ...EraseSettings.shape,
  ...ContractsSettings.shape,
  ...AgentsSettings.shape,
  ...AuditSettings.shape,
  ...OrchestrationSettings.shape,
  ...RoutingSettings.shape,
  ...TraceSettings.shape,
  ...MemorySettings.shape,
  ...MemAgentSettings.shape,
  ...LogSettings.shape,
  ...ClientSettings.shape,
});

/** Names of the variables that are read. */
export const SETTING_NAMES = Object.keys(Settings.shape);

export type Config = Readonly<z.output<typeof Settings> & { HOST: string }>;

/** What stands in the file counts where the environment says nothing. */
export function loadEnvFile(file = '.env'): void {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw new OrchestratorError('bad_configuration', `the settings in ${file} cannot be read: ${(error as Error).message}`);
  }
  for (const [name, value] of Object.entries(parseEnv(text))) process.env[name] ??= value;
}

const SECRET = /URL|SECRET|KEY|PASSWORD|TOKEN$/;

export function readConfig(env: Record<string, string | undefined>): Config {
  // An empty variable, as `NAME=` in a file leaves it, means unset.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim() !== ''));
  const parsed = Settings.safeParse(given);
  if (parsed.success) {
    try {
      tokenChecks(parsed.data);
    } catch (error) {
      throw new OrchestratorError('bad_configuration', `these settings cannot be used: ${(error as Error).message}`);
    }
    const HOST = parsed.data.HOST ?? (parsed.data.REQUIRE_AUTH ? '0.0.0.0' : '127.0.0.1');
    return Object.freeze({ ...parsed.data, HOST });
  }
  const wrong = parsed.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return `${name}=${SECRET.test(name) ? '…' : given[name]}: ${issue.message}`;
  });
  throw new OrchestratorError('bad_configuration', `these settings cannot be used: ${wrong.join('; ')}`);
}
