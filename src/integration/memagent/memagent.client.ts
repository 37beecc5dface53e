/**
 * MemAgent over HTTP: a sink for memory blocks, never a source. A session is made known to it, then the block's statements are posted as
 * notes; those it already has are not posted again, so that a repeated delivery adds nothing where it can be seen.
 */
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import { z } from 'zod';
import { OrchestratorError } from '../../kernel/errors.js';
import { refuses } from '../peer-status.js';
import { retryAfterMs } from '../retry-after.js';
import { NOTE_CHARACTERS } from './notes.js';

export interface MemAgentAt {
  readonly url: string;
  /** Whether it is asked to compress by itself as well, with its own model. */
  readonly compress: boolean;
}

/** A session that lost a block, or all of it: it is deleted there, and made anew for the next block. */
export interface Forgetting {
  readonly forget: readonly string[];
}

/** What one block comes to. */
export interface Delivery {
  readonly session: string;
  readonly intent: string;
  readonly notes: readonly string[];
}

const TIMEOUT_MS = 10_000;
/** It asks a language model before it answers. */
const COMPRESS_TIMEOUT_MS = 120_000;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

const Known = z.object({ user_notes: z.array(z.unknown()) });
const Note = z.union([z.string(), z.object({ text: z.string() }).transform((note) => note.text)]);

export class MemAgentClient {
  private readonly http: AxiosInstance;

  constructor(private readonly settings: MemAgentAt) {
    this.http = axios.create({
      baseURL: settings.url.replace(/\/$/, ''),
      timeout: TIMEOUT_MS,
      maxContentLength: MAX_ANSWER_BYTES,
      maxRedirects: 0,
      proxy: false,
      validateStatus: () => true,
    });
  }

  /** Where it is, fit to be shown. */
  get origin(): string {
    const { origin, pathname } = new URL(this.settings.url);
    return origin + pathname.replace(/\/$/, '');
  }

  /** Rejects while it is away. Its documentation says /health, its code /v1/health. */
  async probe(signal: AbortSignal): Promise<void> {
    const first = await this.ask('GET', '/v1/health', signal);
    const answer = first.status === 404 ? await this.ask('GET', '/health', signal) : first;
    if (answer.status !== 200) throw away(`its health check answered HTTP ${answer.status}`, answer);
  }

  /** Resolves 'refused' when it is well and does not want just this; rejects when it may help to try again. */
  async deliver({ session, intent, notes }: Delivery, signal: AbortSignal): Promise<'delivered' | { refused: string }> {
    const path = `/v1/session/${encodeURIComponent(session)}`;
    const made = await this.ask('POST', '/v1/session/init', signal, {
      data: { session_id: session, intent, created_by: 'agent-orchestrator' },
    });
    if (made.status !== 409 && !ok(made.status)) return refusedOr(made, 'the session');
    const known = await this.notesOf(path, signal);
    for (const text of notes) {
      if (known.has(text)) continue;
      const answer = await this.ask('POST', `${path}/note`, signal, { data: { text } });
      if (!ok(answer.status)) return refusedOr(answer, `a note of ${text.length} characters (at most ${NOTE_CHARACTERS} are sent)`);
    }
    if (!this.settings.compress) return 'delivered';
    const answer = await this.ask('POST', `${path}/compress`, signal, { data: { intent }, timeout: COMPRESS_TIMEOUT_MS });
    return ok(answer.status) ? 'delivered' : refusedOr(answer, 'to compress the session');
  }

  /** A session it does not know is forgotten already. */
  async forget({ forget }: Forgetting, signal: AbortSignal): Promise<'delivered' | { refused: string }> {
    for (const session of forget) {
      const answer = await this.ask('DELETE', `/v1/session/${encodeURIComponent(session)}`, signal);
      if (answer.status !== 404 && !ok(answer.status)) return refusedOr(answer, 'to delete a session');
    }
    return 'delivered';
  }

  /** Only spares repetitions: whatever cannot be understood counts as nothing known. */
  private async notesOf(path: string, signal: AbortSignal): Promise<Set<string>> {
    const { status, data } = await this.ask('GET', `${path}/memory-block`, signal);
    const block = Known.safeParse(data);
    if (!ok(status) || !block.success) return new Set();
    return new Set(
      block.data.user_notes.flatMap((note) => {
        const text = Note.safeParse(note);
        return text.success ? [text.data] : [];
      }),
    );
  }

  private async ask(method: 'GET' | 'POST' | 'DELETE', url: string, signal: AbortSignal, more: { data?: object; timeout?: number } = {}) {
    try {
      return await this.http.request<unknown>({ method, url, signal, timeout: TIMEOUT_MS, ...more });
    } catch (error) {
      signal.throwIfAborted();
      throw away((error as Error).message || String((error as { code?: string }).code));
    }
  }
}

const ok = (status: number) => status >= 200 && status < 300;

type Answered = Pick<AxiosResponse<unknown>, 'status' | 'headers'>;

function refusedOr(answer: Answered, what: string): { refused: string } {
  if (refuses(answer.status)) return { refused: `MemAgent refused ${what}: HTTP ${answer.status}` };
  throw away(`it answered HTTP ${answer.status}`, answer);
}

function away(why: string, answer?: Answered): OrchestratorError {
  const wait = retryAfterMs(answer?.headers['retry-after'], Date.now());
  const patience = wait > 0 ? { retryAfter: wait / 1000 } : {};
  return new OrchestratorError('integration_unavailable', `MemAgent cannot be had: ${why}`, patience);
}
