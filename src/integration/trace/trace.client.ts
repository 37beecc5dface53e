/**
 * Speaks to a Trace over HTTP. A breaker stands in front: after some failures in a row nothing is sent any more, and one probe at a time,
 * later and later, finds out whether Trace is back. undici rather than axios: forwarding shares its thread with the orchestrations, and
 * axios cost four times the CPU per request (measured).
 */
import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  DelegateBackoff,
  handleAll,
  isBrokenCircuitError,
} from 'cockatiel';
import { Pool } from 'undici';
import { Stop } from '../../agents/agent-client.js';
import { OrchestratorError } from '../../kernel/errors.js';
import { exchange } from '../agents/exchange.client.js';
import { type HttpAnswer, healthOf, type Refused, type Trouble, trouble, type Verdict, verdictOf } from './trace-answer.js';

export interface TraceClientSettings {
  readonly url: string;
  readonly timeoutMs: number;
  readonly longestPauseMs: number;
}

interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  readonly maxBytes: number;
}

const CONNECTIONS = 8;
const OPEN_AFTER = 5;
const FIRST_PAUSE_MS = 200;
const SHORT_ANSWER = 64 * 1024;
const LONG_ANSWER = 64 * 1024 * 1024;
const STATES = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half open',
  [CircuitState.Isolated]: 'open',
};

export class TraceClient {
  private readonly base: URL;
  private readonly pool: Pool;
  private readonly headers: Record<string, string>;
  private readonly breaker: CircuitBreakerPolicy;
  private openUntil = 0;
  private heldUntil = 0;
  private last = 'it did not answer';

  constructor(private readonly settings: TraceClientSettings) {
    this.base = new URL(settings.url.replace(/\/*$/, '/'));
    const { username, password, origin } = this.base;
    // No limits of its own: `timeoutMs` bounds the whole exchange, which a peer could otherwise make last for ever byte by byte.
    const limits = { headersTimeout: 0, bodyTimeout: 0, connect: { timeout: settings.timeoutMs } };
    this.pool = new Pool(origin, { connections: CONNECTIONS, pipelining: 1, ...limits });
    const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    this.headers = {
      accept: 'application/json',
      ...(username !== '' && { authorization: `Basic ${Buffer.from(user).toString('base64')}` }),
    };
    this.breaker = circuitBreaker(
      handleAll.orWhenResult((verdict) => 'trouble' in (verdict as Verdict)),
      {
        breaker: new ConsecutiveBreaker(OPEN_AFTER),
        halfOpenAfter: new DelegateBackoff(({ attempt, result }) => {
          const asked = 'value' in result ? (result.value as Trouble).wait : 0;
          const jitter = Math.random() * Math.min(settings.longestPauseMs, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 30));
          const pause = Math.max(asked, jitter);
          this.openUntil = Date.now() + pause;
          return pause;
        }),
      },
    );
  }

  /** Where it is, fit to be shown. */
  get origin(): string {
    return this.base.origin + this.base.pathname.replace(/\/$/, '');
  }

  get state(): string {
    return STATES[this.breaker.state];
  }

  /** Rejects with `integration_unavailable` when nothing is known about the event. */
  async post(path: string, body: object, signal: AbortSignal): Promise<{ taken: true } | Refused> {
    return this.guarded({ method: 'POST', path, body, maxBytes: SHORT_ANSWER }, verdictOf, signal);
  }

  /** Resolves when Trace is well. */
  async probe(signal: AbortSignal): Promise<void> {
    await this.guarded({ method: 'GET', path: 'v1/health', maxBytes: SHORT_ANSWER }, healthOf, signal);
  }

  /** Past the breaker: somebody waits for the answer. */
  async get(path: string, signal: AbortSignal): Promise<HttpAnswer> {
    const answer = await this.ask({ method: 'GET', path, maxBytes: LONG_ANSWER }, signal);
    if ('trouble' in answer) throw this.unavailable(answer.trouble, 0);
    return answer;
  }

  private async guarded<V extends Verdict>(
    question: Question,
    judge: (answer: HttpAnswer, now: number) => V,
    signal: AbortSignal,
  ): Promise<Exclude<V, Trouble>> {
    const held = this.heldUntil - Date.now();
    if (held > 0) throw this.unavailable(this.last, held);
    let verdict: V | Trouble;
    try {
      verdict = await this.breaker.execute(async () => {
        const answer = await this.ask(question, signal);
        return 'trouble' in answer ? answer : judge(answer, Date.now());
      }, signal);
    } catch (error) {
      if (isBrokenCircuitError(error)) throw this.unavailable(this.last, this.openUntil - Date.now());
      throw error;
    }
    if (!('trouble' in verdict)) return verdict as Exclude<V, Trouble>;
    this.last = verdict.trouble;
    this.heldUntil = Date.now() + verdict.wait;
    throw this.unavailable(verdict.trouble, Math.max(verdict.wait, this.openUntil - Date.now()));
  }

  /** Rejects only when told to stop. */
  private async ask({ method, path, body, maxBytes }: Question, signal: AbortSignal): Promise<HttpAnswer | Trouble> {
    signal.throwIfAborted();
    const stop = new Stop();
    const end = () => stop.stop(new Error('stopped'));
    const timer = setTimeout(() => stop.stop(new Error(`no answer within ${this.settings.timeoutMs} ms`)), this.settings.timeoutMs);
    signal.addEventListener('abort', end);
    const headers = body ? { ...this.headers, 'content-type': 'application/json' } : this.headers;
    const request = { method, path: `${this.base.pathname}${path}`, headers, maxBytes, ...(body && { body: JSON.stringify(body) }) };
    try {
      const answer = await exchange(this.pool, request, stop);
      const retryAfter = answer.headers['retry-after'];
      return {
        status: answer.status,
        retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
        body: answer.bytes.toString('utf8'),
      };
    } catch (error) {
      signal.throwIfAborted();
      const tooLarge = error instanceof OrchestratorError && error.code === 'payload_too_large';
      return trouble(tooLarge ? `an answer of more than ${maxBytes} bytes` : reason(error));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    }
  }

  close(): Promise<void> {
    return this.pool.destroy();
  }

  private unavailable(why: string, wait: number): OrchestratorError {
    const details = wait > 0 ? { retryAfter: wait / 1000 } : {};
    return new OrchestratorError('integration_unavailable', `Trace at ${this.origin}: ${why}`, details);
  }
}

const reason = (error: unknown): string => {
  const { code, message } = error as { code?: string; message?: string };
  return code && !message?.includes(code) ? `${code} ${message ?? ''}`.trim() : (message ?? String(error));
};
