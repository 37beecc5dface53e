/**
 * The instruments of one orchestrator, in a registry of its own: two in one process do not mix their numbers. Rooms report through these
 * methods or are read when somebody asks; nobody else knows the library. Labels are never chosen by a caller. docs/operations.md explains each.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** What the database knows. */
export interface LedgerReadings {
  readonly sessions: number;
  readonly contracts: { readonly completed: number; readonly failed: number };
  readonly openRequests: number;
  readonly pending: number;
  readonly followers: readonly { readonly name: string; readonly lag: number; readonly lag_seconds: number; readonly parked: number }[];
}

/** What is not counted along the way, but read when somebody asks. */
export interface Readings {
  readonly version: string;
  readonly activeAgents: number;
  readonly tasksInFlight: number;
  readonly tasksWaiting: number;
  readonly breakers: readonly { readonly agent_id: string; readonly breaker: 'closed' | 'half_open' | 'open' }[];
  readonly dispatching: boolean;
  /** Null: the database did not answer. */
  readonly ledger: LedgerReadings | null;
}

export interface AnsweredRequest {
  readonly method: string;
  /** The template, as /v1/contracts/:id. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
  /** The code of the problem it was answered with. */
  readonly problem?: string | undefined;
}

const APPEND_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200];
const CALL_BUCKETS = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600];
const SESSION_BUCKETS = [1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600];

const BREAKER = { closed: 0, half_open: 0.5, open: 1 };

export class Metrics {
  static readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  private readonly registry = new Registry();
  private readonly registers = [this.registry];

  private readonly requests = new Counter({
    name: 'agent_orchestrator_requests_total',
    help: 'HTTP requests answered, by route template; status 499 is a caller who hung up',
    labelNames: ['method', 'route', 'status'],
    registers: this.registers,
  });
  private readonly requestSeconds = new Histogram({
    name: 'agent_orchestrator_request_duration_seconds',
    help: 'From the head of a request to the last byte of its answer',
    labelNames: ['method', 'route'],
    registers: this.registers,
  });
  private readonly errors = new Counter({
    name: 'agent_orchestrator_errors_total',
    help: 'Problems answered to callers, and contracts that this process recorded as failed or cancelled, by code',
    labelNames: ['code'],
    registers: this.registers,
  });
  private readonly sessionSeconds = new Histogram({
    name: 'agent_orchestrator_session_duration_seconds',
    help: 'Of sessions this process closed: from the first event to the last one before the closing, so without the wait of an idle session',
    buckets: SESSION_BUCKETS,
    registers: this.registers,
  });
  private readonly appendSeconds = new Histogram({
    name: 'agent_orchestrator_append_duration_seconds',
    help: 'From handing events to the appender until they were committed, refused or given up; queueing and retries included',
    buckets: APPEND_BUCKETS,
    registers: this.registers,
  });
  private readonly batchEvents = new Histogram({
    name: 'agent_orchestrator_append_batch_events',
    help: 'Events committed by one statement',
    buckets: BATCH_BUCKETS,
    registers: this.registers,
  });
  private readonly callSeconds = new Histogram({
    name: 'agent_orchestrator_agent_call_duration_seconds',
    help: 'Calls to agents, by how the contract ended: completed, failed or cancelled',
    labelNames: ['agent', 'outcome'],
    buckets: CALL_BUCKETS,
    registers: this.registers,
  });

  private readonly retries = new Counter({
    name: 'agent_orchestrator_retries_total',
    help: 'Attempts that another follows, by the agent that failed and how',
    labelNames: ['agent', 'code'],
    registers: this.registers,
  });

  private readonly build = this.gauge('agent_orchestrator_build_info', 'Always 1', ['version', 'node']);
  private readonly activeAgents = this.gauge('agent_orchestrator_active_agents', 'Agents this process can call');
  private readonly tasksInFlight = this.gauge(
    'agent_orchestrator_tasks_in_flight',
    'Tasks this process works on, from before their REQUEST until after their RESPONSE',
  );
  private readonly tasksWaiting = this.gauge(
    'agent_orchestrator_tasks_waiting',
    'Of these, those that wait for an agent that is busy or stopped, or for their next attempt',
  );
  private readonly breakers = this.gauge(
    'agent_orchestrator_agent_breaker',
    'Of this process: 0 the agent is called; 1 it is not, since its calls failed; 0.5 one call tries whether it is back',
    ['agent'],
  );
  private readonly dispatching = this.gauge(
    'agent_orchestrator_dispatching',
    '1: this process takes tasks; 0: it has lost touch with its database for too long',
  );
  private readonly upDatabase = this.gauge(
    'agent_orchestrator_up_database',
    '1: the database answered this scrape in time; 0: what is read from it is missing here',
  );
  private readonly sessions = this.gauge(
    'agent_orchestrator_total_sessions',
    'Sessions ever opened; from the database, the same on every replica',
  );
  private readonly successRate = this.gauge(
    'agent_orchestrator_task_success_rate',
    'Contracts completed, of all that completed or failed since the ledger began; from the database, the same on every replica',
  );
  private readonly openRequests = this.gauge('agent_orchestrator_open_requests', 'REQUESTs without a RESPONSE; from the database');
  private readonly pending = this.gauge(
    'agent_orchestrator_sequencer_pending_events',
    'Events committed but not yet sequenced; from the database',
  );
  private readonly lagEvents = this.gauge('agent_orchestrator_follower_lag_events', 'Sequenced events a follower has not handled', [
    'follower',
  ]);
  private readonly lagSeconds = this.gauge('agent_orchestrator_follower_lag_seconds', 'Age of the oldest of them, 0 if there is none', [
    'follower',
  ]);
  private readonly parked = this.gauge(
    'agent_orchestrator_follower_parked_streams',
    'Streams that wait behind an event that could not be handled',
    ['follower'],
  );

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  private gauge(name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name, help, labelNames, registers: this.registers });
  }

  requested({ method, route, status, seconds, problem }: AnsweredRequest): void {
    this.requests.inc({ method, route, status });
    this.requestSeconds.observe({ method, route }, seconds);
    if (problem !== undefined) this.failed(problem);
  }

  /** `code` is of one of the two closed lists, of problems or of contracts. */
  failed(code: string): void {
    this.errors.inc({ code });
  }

  sessionClosed(seconds: number): void {
    this.sessionSeconds.observe(seconds);
  }

  appended(seconds: number): void {
    this.appendSeconds.observe(seconds);
  }

  batchCommitted(events: number): void {
    this.batchEvents.observe(events);
  }

  /** An attempt at this agent failed, and another follows. */
  retried(agent: string, code: string): void {
    this.retries.inc({ agent, code });
  }

  called(agent: string, outcome: string, seconds: number): void {
    this.callSeconds.observe({ agent, outcome }, seconds);
  }

  /** All of it in the text format of Prometheus. What the database knows is left out rather than stale when it did not answer. */
  text({ version, activeAgents, tasksInFlight, tasksWaiting, breakers, dispatching, ledger }: Readings): Promise<string> {
    this.build.set({ version, node: process.version }, 1);
    this.activeAgents.set(activeAgents);
    this.tasksInFlight.set(tasksInFlight);
    this.tasksWaiting.set(tasksWaiting);
    this.breakers.reset();
    for (const { agent_id: agent, breaker } of breakers) this.breakers.set({ agent }, BREAKER[breaker]);
    this.dispatching.set(dispatching ? 1 : 0);
    this.upDatabase.set(ledger ? 1 : 0);
    for (const gauge of [this.sessions, this.successRate, this.openRequests, this.pending]) gauge.remove();
    for (const gauge of [this.lagEvents, this.lagSeconds, this.parked]) gauge.reset();
    if (ledger) this.read(ledger);
    return this.registry.metrics();
  }

  private read({ sessions, contracts, openRequests, pending, followers }: LedgerReadings): void {
    const ended = contracts.completed + contracts.failed;
    this.sessions.set(sessions);
    if (ended > 0) this.successRate.set(contracts.completed / ended);
    this.openRequests.set(openRequests);
    this.pending.set(pending);
    for (const { name: follower, lag, lag_seconds, parked } of followers) {
      this.lagEvents.set({ follower }, lag);
      this.lagSeconds.set({ follower }, lag_seconds);
      this.parked.set({ follower }, parked);
    }
  }
}
