/**
 * Speaks to a Trace over HTTP. A breaker stands in front: after some failures in a row nothing is sent any more, and one probe at a time,
 * later and later, finds out whether Trace is back.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import axios from 'axios';
import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  DelegateBackoff,
  handleAll,
  isBrokenCircuitError,
} from 'cockatiel';
import { OrchestratorError } from '../../kernel/errors.js';
import { type HttpAnswer, healthOf, type Refused, type Trouble, trouble, type Verdict, verdictOf } from './trace-answer.js';

export interface TraceClientSettings {
  readonly url: string;
  readonly timeoutMs: number;
  readonly longestPauseMs: number;
}

interface Exchange {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
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
  private readonly http;
  private readonly breaker: CircuitBreakerPolicy;
  private openUntil = 0;
  private heldUntil = 0;
  private last = 'it did not answer';

  constructor(private readonly settings: TraceClientSettings) {
    this.base = new URL(settings.url.replace(/\/*$/, '/'));
    const sockets = { keepAlive: true, maxSockets: CONNECTIONS };
    this.http = axios.create({
      httpAgent: new HttpAgent(sockets),
      httpsAgent: new HttpsAgent(sockets),
      proxy: false, // the environment is read in one place, and not for this
      maxRedirects: 0,
      timeout: settings.timeoutMs,
      responseType: 'text',
      transformRequest: [(data: unknown) => data],
      transformResponse: [(data: unknown) => data],
      validateStatus: () => true,
    });
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
  async post(path: string, body: unknown, signal: AbortSignal): Promise<{ taken: true } | Refused> {
    const verdict = await this.guarded({ method: 'POST', path, body, maxBytes: SHORT_ANSWER }, verdictOf, signal);
    return verdict;
  }

  /** Resolves when Trace is well. */
  async probe(signal: AbortSignal): Promise<void> {
    await this.guarded({ method: 'GET', path: 'v1/health', maxBytes: SHORT_ANSWER }, healthOf, signal);
  }

  /** Past the breaker: somebody waits for the answer. */
  async get(path: string, signal: AbortSignal): Promise<HttpAnswer> {
    const answer = await this.exchange({ method: 'GET', path, maxBytes: LONG_ANSWER }, signal);
    if ('trouble' in answer) throw this.unavailable(answer.trouble, 0);
    return answer;
  }

  private async guarded<V extends Verdict>(
    exchange: Exchange,
    judge: (answer: HttpAnswer, now: number) => V,
    signal: AbortSignal,
  ): Promise<Exclude<V, Trouble>> {
    const held = this.heldUntil - Date.now();
    if (held > 0) throw this.unavailable(this.last, held);
    let verdict: V | Trouble;
    try {
      verdict = await this.breaker.execute(async () => {
        const answer = await this.exchange(exchange, signal);
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
  private async exchange({ method, path, body, maxBytes }: Exchange, signal: AbortSignal): Promise<HttpAnswer | Trouble> {
    signal.throwIfAborted();
    const late = new AbortController();
    const stop = () => late.abort();
    // axios bounds the silence; this bounds the whole exchange, which a peer could make last for ever byte by byte.
    const timer = setTimeout(stop, this.settings.timeoutMs);
    signal.addEventListener('abort', stop);
    try {
      const { status, headers, data } = await this.http.request<string>({
        method,
        url: new URL(path, this.base).href,
        ...(body !== undefined && { data: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
        maxContentLength: maxBytes,
        signal: late.signal,
      });
      return { status, retryAfter: headers['retry-after'] as string | undefined, body: data };
    } catch (error) {
      signal.throwIfAborted();
      return trouble(late.signal.aborted ? `no answer within ${this.settings.timeoutMs} ms` : reason(error));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
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
