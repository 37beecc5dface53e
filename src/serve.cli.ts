/** Runs the server until it is told to stop, and says what to try next. Exit codes: 0 stopped in good order, 1 could not start. */
import pc from 'picocolors';
import { pino } from 'pino';
import type { Config } from './config.js';
import { OrchestratorError } from './kernel/errors.js';
import { type Server, startServer } from './server.js';

/** SIGTERM must end in exit within ten seconds whatever hangs. */
const STOP_MS = 9500;

export async function serve(configure: () => Config): Promise<void> {
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });
  let server: Server;
  try {
    server = await startServer(configure(), log, (error) => {
      process.stderr.write(`${pc.red('the embedded database stopped')}: ${error.message}\n`);
      process.exit(1);
    });
  } catch (error) {
    const known = error instanceof OrchestratorError;
    process.stderr.write(`${pc.red('cannot start')}: ${known ? error.message : (error as Error).stack}\n`);
    process.exit(1);
  }
  if (process.stdout.isTTY) process.stdout.write(`${welcome(server)}\n`);
  else log.info({ url: server.url, agents: server.agents.map((a) => a.description.agent_id) }, 'listening');
  const stop = (signal: string) => {
    log.info({ signal }, 'stopping: no new work, running calls may finish');
    setTimeout(() => process.exit(1), STOP_MS).unref();
    server.close().then(
      () => process.exit(0),
      (error: Error) => {
        log.error({ err: error }, 'stopped with an error');
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

function welcome({ url, ledger, agents }: Server): string {
  const body = `{"session_id":"first","capability":"echo","parameters":{"text":"Hello, world!"}}`;
  return [
    `${pc.bold('Agent Orchestrator')} listens on ${pc.cyan(url)} (${ledger.embedded ? 'embedded PostgreSQL' : 'PostgreSQL'}, ${agents.length} agent${agents.length === 1 ? '' : 's'})`,
    '',
    'Try next:',
    `  curl -s ${url}/v1/orchestrate -H 'content-type: application/json' -d '${body}'`,
    `  curl -s '${url}/v1/contracts?session_id=first'`,
    `  npx agent-orchestrator verify`,
    '',
    pc.dim('Ctrl-C stops it.'),
  ].join('\n');
}
