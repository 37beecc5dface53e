/** One running orchestrator: opened, listening, and closed in an order in which nothing accepted is lost. */
import 'reflect-metadata';
import { fileURLToPath } from 'node:url';
import { StandardSchemaValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandBus, EventBus } from '@nestjs/cqrs';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AgentSource, type ConfiguredAgent } from './agents/agent-source.js';
import { ConfigureAgent } from './agents/agents.commands.js';
import { DiscoveryWorker } from './agents/discovery.worker.js';
import { refusalOf } from './api/broken-request.js';
import { guardMethods } from './api/method.guard.js';
import { serveApiDocs } from './api/openapi.system.js';
import { invalidFields, MAX_BODY_BYTES, ProblemFilter } from './api/problem.filter.js';
import { watchRequests } from './api/requests.system.js';
import { VERSION } from './api/version.js';
import { AppModule } from './app.module.js';
import type { Config } from './config.js';
import type { Outgoing } from './integration/agents/outgoing.client.js';
import { WAYS_OUT } from './integration/integration.module.js';
import { OrchestratorError } from './kernel/errors.js';
import { newId } from './kernel/ids.system.js';
import { parseJsonBytes } from './kernel/json.js';
import type { Log } from './kernel/log.system.js';
import { Metrics } from './kernel/metrics.system.js';
import { Workers } from './kernel/worker.js';
import { claimMasterKey } from './ledger/keys.postgres.js';
import { LedgerAdvanced } from './ledger/ledger.module.js';
import { openMasterKeys } from './ledger/master-key.system.js';
import { type OpenLedger, openLedger } from './ledger/open.postgres.js';
import { SEQUENCED_CHANNEL } from './ledger/sequence.postgres.js';
import { Calls } from './orchestration/calls.system.js';

/** Running calls get this long to finish when the process is told to stop; the rest of its ten seconds is for recording and closing. */
const DRAIN_MS = 6000;
const CLOSE_MS = 1000;
/** A caller who has not sent all of his request by then holds a connection for nothing. */
const RECEIVE_MS = 60_000;

export const MIGRATIONS = fileURLToPath(new URL('../migrations', import.meta.url));

export interface Server {
  readonly app: NestFastifyApplication;
  readonly ledger: OpenLedger;
  readonly url: string;
  readonly agents: readonly ConfiguredAgent[];
  close(): Promise<void>;
}

/** `broken`: the embedded database stopped by itself; the process can only end. */
export async function startServer(config: Config, log: Log, broken: (error: Error) => void = () => undefined): Promise<Server> {
  const ledger = await openSealed(config, log, broken);
  let app: NestFastifyApplication | undefined;
  let agents: ConfiguredAgent[] = [];
  try {
    if (ledger.migrated.length > 0) log.info({ migrations: ledger.migrated }, 'schema brought up to date');
    app = await createApp({ config, ledger, owner: newId(), log, metrics: new Metrics() });
    await app.get(Workers).start();
    const source = app.get(AgentSource);
    agents = await source.load();
    for (const agent of agents) await app.get(CommandBus).execute(new ConfigureAgent(agent));
    app.get(DiscoveryWorker).configure(await source.sources());
    await app.listen(config.ORCHESTRATOR_PORT, config.HOST);
    const url = await app.getUrl();
    await ledger.embedded?.setHttpPort(Number(new URL(url).port));
    const events = app.get(EventBus);
    const deaf = ledger.db.embedded ? null : ledger.db.listen(SEQUENCED_CHANNEL, () => events.publish(new LedgerAdvanced()));
    return { app, ledger, url, agents, close: closing(app, { ledger, deaf }) };
  } catch (error) {
    await app
      ?.get(Workers)
      .drain()
      .catch(() => undefined);
    await app?.close().catch(() => undefined);
    await Promise.all(agents.map(({ client }) => client.close()));
    if (app) await hangUp(app);
    await ledger.close().catch(() => undefined);
    throw error;
  }
}

/** The ledger with its master key. One that was made for a ledger that needs another is taken away again. */
async function openSealed(config: Config, log: Log, broken: (error: Error) => void): Promise<OpenLedger> {
  const { keys, from, unmake } = await openMasterKeys(config, { make: true });
  const ledger = await openLedger(config, MIGRATIONS, { log: (message) => log.info({}, message), failed: broken, keys });
  try {
    await claimMasterKey(ledger.db, from);
  } catch (error) {
    // Whatever else went wrong, the key may have been noted in the ledger, or another process may have begun with it.
    if (error instanceof OrchestratorError && error.code === 'bad_configuration') await unmake?.();
    await ledger.close();
    throw error;
  }
  if (unmake) log.warn({ file: from }, 'made a master key; without this file the payload cannot be read, so keep a copy elsewhere');
  if (keys.held.length === 0) log.warn({}, 'MASTER_KEY=off: the payload is not sealed, whoever can read the database can read it');
  return ledger;
}

async function hangUp(app: NestFastifyApplication): Promise<void> {
  await Promise.all(app.get<Outgoing[]>(WAYS_OUT).map((way) => way.close()));
}

function closing(app: NestFastifyApplication, held: { ledger: OpenLedger; deaf: (() => Promise<void>) | null }) {
  let closed: Promise<void> | undefined;
  const close = async () => {
    await app.get(Calls).drain(DRAIN_MS); // from here on new work is answered 503
    // Every answer is on its way; whoever has not finished asking by now is cut off.
    const cut = setTimeout(() => app.getHttpServer().closeAllConnections(), CLOSE_MS);
    await app.close();
    clearTimeout(cut);
    await held.deaf?.();
    await app.get(Workers).drain();
    await hangUp(app);
    await held.ledger.close();
  };
  return () => {
    closed ??= close();
    return closed;
  };
}

async function createApp(surroundings: Parameters<typeof AppModule.in>[0]): Promise<NestFastifyApplication> {
  const watch = watchRequests(surroundings.log, surroundings.metrics);
  const adapter = new FastifyAdapter({
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: 1500 },
    forceCloseConnections: 'idle',
    requestTimeout: RECEIVE_MS,
    clientErrorHandler: (error, socket) => {
      if (!socket.writable || (error as NodeJS.ErrnoException).code === 'ECONNRESET') return void socket.destroy();
      socket.end(refusalOf((error as NodeJS.ErrnoException).code));
    },
    // A URL that cannot be decoded reaches neither hooks nor Nest.
    frameworkErrors: (error: Error, request: unknown, reply: unknown) => {
      watch(request as FastifyRequest, reply as FastifyReply);
      new ProblemFilter(surroundings.log).answer(error, request as FastifyRequest, reply as FastifyReply);
    },
  });
  const fastify = adapter.getInstance();
  fastify.addHook('onRequest', (request, reply, done) => {
    watch(request, reply);
    done();
  });
  guardMethods(fastify);
  fastify.removeAllContentTypeParsers();
  // The raw bytes go through our scanner: JSON.parse alone would let duplicate keys and broken numbers into the record.
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, body.length === 0 ? undefined : parseJsonBytes(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  const app = await NestFactory.create<NestFastifyApplication>(await AppModule.in(surroundings), adapter, {
    bodyParser: false,
    logger: false,
    abortOnError: false,
  });
  const problems = app.get(ProblemFilter);
  app.useGlobalFilters(problems);
  app.useGlobalPipes(new SchemaPipe({ exceptionFactory: invalidFields }));
  serveApiDocs(app, VERSION);
  await app.init();
  return app;
}

/** Nest strips `__proto__` members before it validates; here they are the caller's data and belong into the record. */
class SchemaPipe extends StandardSchemaValidationPipe {
  protected override stripProtoKeys(): void {}
}
