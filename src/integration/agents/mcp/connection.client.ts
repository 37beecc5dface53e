/**
 * One connection to one MCP server, opened when it is first needed, shared by all calls, opened anew after it broke. What was under way when
 * it broke has failed: nothing is sent twice.
 */
import {
  Client,
  type PriorDiscovery,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  SdkHttpError,
  type Transport,
} from '@modelcontextprotocol/client';
import { OrchestratorError } from '../../../kernel/errors.js';

export interface Wire extends Transport {
  /** How it ended, where that says more than that it did. */
  readonly ended?: string | null;
}

export interface Way {
  /** A new one for each opening. */
  wire(): Wire;
  /** The probe, and then the handshake, may take this long. */
  readonly connectMs: number;
  /** A process of ours: started again by itself, later each time. */
  readonly process?: boolean;
  /** Called when the connection is closed for good. */
  readonly close?: () => Promise<void>;
}

interface Opened {
  readonly client: Client;
  readonly since: number;
  users: number;
  lost: boolean;
}

const PROBE_MS = 5000;
/** An upgraded server still answers as before: what was found out about it is asked again after this time. */
const VERDICT_MS = 10 * 60_000;
const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 60_000;
/** Failures of the server's answer, not of the connection. */
const ANSWERED: readonly SdkErrorCode[] = [SdkErrorCode.InvalidResult, SdkErrorCode.UnsupportedResultType, SdkErrorCode.RequestTimeout];

export class Connection {
  private opening: Promise<Opened> | null = null;
  private verdict: { readonly prior: PriorDiscovery; readonly until: number } | null = null;
  private connecting: Wire | null = null;
  private closed = false;
  private deaths = 0;
  private paused: { readonly until: number; readonly why: string; readonly timer: NodeJS.Timeout } | null = null;

  constructor(private readonly way: Way) {}

  async use<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const opened = await this.open();
    opened.users += 1;
    try {
      return await work(opened.client);
    } catch (error) {
      if (breaks(error)) {
        // A server that refuses what it said it speaks may have become another.
        if (error instanceof SdkHttpError && opened.client.getProtocolEra() === 'modern') this.verdict = null;
        this.lose(opened);
      }
      throw error;
    } finally {
      opened.users -= 1;
      this.closeIfIdle(opened);
    }
  }

  /** Those who ask meanwhile share it. */
  private open(): Promise<Opened> {
    if (this.closed) return Promise.reject(new OrchestratorError('agent_unreachable', 'the connection has been closed'));
    if (this.paused && Date.now() < this.paused.until) {
      const seconds = Math.ceil((this.paused.until - Date.now()) / 1000);
      return Promise.reject(
        new OrchestratorError('agent_unreachable', `the server is not running (${this.paused.why}); it is started again in ${seconds} s`),
      );
    }
    if (!this.opening) {
      const opening = this.connect();
      this.opening = opening;
      opening.catch(() => {
        if (this.opening === opening) this.opening = null;
      });
    }
    return this.opening;
  }

  private async connect(): Promise<Opened> {
    const known = this.verdict && Date.now() < this.verdict.until ? this.verdict.prior : undefined;
    try {
      // Some servers end when they are asked anything before initialize: a new process is asked that first.
      return await this.connectWith(known).catch((error) => {
        const probed = error instanceof OrchestratorError && error.cause instanceof SdkError;
        if (known || this.closed || !probed || (error.cause as SdkError).code !== SdkErrorCode.EraNegotiationFailed) throw error;
        return this.connectWith({ kind: 'legacy' });
      });
    } catch (error) {
      this.verdict = null;
      if (this.way.process) this.died((error as Error).message);
      throw error;
    }
  }

  private async connectWith(prior: PriorDiscovery | undefined): Promise<Opened> {
    const client = new Client(
      { name: 'agent-orchestrator', version: '1' },
      {
        versionNegotiation: { mode: 'auto', probe: { timeoutMs: Math.min(PROBE_MS, this.way.connectMs) } },
        inputRequired: { autoFulfill: false },
      },
    );
    const wire = this.way.wire();
    this.connecting = wire;
    const opened: Opened = { client, since: Date.now(), users: 0, lost: false };
    client.onclose = () => {
      this.lose(opened);
      if (this.way.process) this.died(wire.ended ?? 'it ended', opened.since);
    };
    try {
      await client.connect(wire, { timeout: this.way.connectMs, ...(prior && { prior }) });
    } catch (error) {
      opened.lost = true;
      client.onclose = () => undefined;
      await wire.close();
      throw wire.ended ? new OrchestratorError('agent_unreachable', wire.ended, { cause: error }) : error;
    } finally {
      this.connecting = null;
    }
    if (this.closed) await client.close();
    const discover = client.getDiscoverResult();
    if (!prior) this.verdict = { prior: discover ? { kind: 'modern', discover } : { kind: 'legacy' }, until: Date.now() + VERDICT_MS };
    return opened;
  }

  /** The next call opens another; those that still use this one may finish. */
  private lose(opened: Opened): void {
    if (opened.lost) return;
    opened.lost = true;
    this.opening = null;
    this.closeIfIdle(opened);
  }

  private closeIfIdle(opened: Opened): void {
    if (opened.lost && opened.users === 0) void opened.client.close().catch(() => undefined);
  }

  private died(why: string, since = Date.now()): void {
    if (this.closed || this.paused) return;
    if (Date.now() - since > LAST_PAUSE_MS) this.deaths = 0;
    const pause = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.deaths);
    this.deaths += 1;
    const again = () => {
      this.paused = null;
      this.open().catch(() => undefined); // died again: it is paused already
    };
    this.paused = { until: Date.now() + pause, why, timer: setTimeout(again, pause) };
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.paused?.timer);
    await this.connecting?.close();
    const opened = await this.opening?.catch(() => null);
    await opened?.client.close().catch(() => undefined);
    await this.way.close?.();
  }
}

/** Not the server's answer is at fault, but the way to it. */
function breaks(error: unknown): boolean {
  if (error instanceof ProtocolError) return false;
  if (error instanceof OrchestratorError) return error.code === 'agent_unreachable';
  return !(error instanceof SdkError && ANSWERED.includes(error.code));
}
