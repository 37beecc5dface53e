/** Runs the server until it is told to stop, and says what to try next. Exit codes: 0 stopped in good order, 1 could not start. */
import type { Config } from '../config.js';
import { explain } from '../failure.js';
import { isReadable, type Log, openLog } from '../kernel/log.system.js';
import { coloursOf } from '../kernel/terminal.system.js';
import { type Server, startServer } from '../server.system.js';

const FIRST = '{"session_id":"first","capability":"echo","parameters":{"text":"Hello, world!"}}';

const LOOPBACK = /^(localhost|127\.|::1$)/;

/** SIGTERM must end in exit within ten seconds whatever hangs. */
const STOP_MS = 9500;

export async function serve(configure: () => Config): Promise<void> {
  let config: Config;
  let log: Log;
  let server: Server;
  const { red } = coloursOf(process.stderr, process.env);
  try {
    config = configure();
    log = openLog(config);
    server = await startServer(config, log, (error) => {
      process.stderr.write(`${red('the embedded database stopped')}: ${error.message}\n`);
      process.exit(1);
    });
  } catch (error) {
    process.stderr.write(`${red('cannot start')}: ${whyNot(error as Error)}\n`);
    process.exit(1);
  }
  if (isReadable(config)) process.stdout.write(`${welcome(server)}\n`);
  else
    log.info(
      { url: server.url, agents: server.agents.map((a) => a.description.agent_id), try: `POST ${server.url}/v1/orchestrate ${FIRST}` },
      'listening',
    );
  if (!config.REQUIRE_AUTH && !LOOPBACK.test(config.HOST))
    log.warn({ host: config.HOST }, 'everybody who reaches this address may hand out tasks and read the record: set REQUIRE_AUTH=true');
  let stopping = false;
  const stop = (signal: string) => {
    // Ctrl-C under npm arrives twice, and a second signal must not cut short what the first one promised.
    if (stopping) return;
    stopping = true;
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
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function whyNot(error: Error & NodeJS.ErrnoException & { address?: string; port?: number }): string {
  if (error.syscall === 'listen' && error.code === 'EADDRINUSE') {
    return `something else listens on ${error.address}:${error.port} already; stop it, or set another ORCHESTRATOR_PORT`;
  }
  if (error.syscall === 'listen' || error.syscall === 'getaddrinfo') return `${error.message}; set another HOST or ORCHESTRATOR_PORT`;
  return explain(error);
}

function welcome({ url, ledger, agents }: Server): string {
  const { bold, cyan, dim } = coloursOf(process.stdout, process.env);
  return [
    `${bold('Agent Orchestrator')} listens on ${cyan(url)} (${ledger.embedded ? 'embedded PostgreSQL' : 'PostgreSQL'}, ${agents.length} agent${agents.length === 1 ? '' : 's'})`,
    '',
    'Try next:',
    `  curl -s ${url}/v1/orchestrate -H 'content-type: application/json' -d '${FIRST}'`,
    `  curl -s '${url}/v1/contracts?session_id=first'`,
    `  npx agent-orchestrator verify`,
    '',
    dim('Ctrl-C stops it.'),
  ].join('\n');
}
