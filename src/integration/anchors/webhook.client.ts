/** Checkpoints to any HTTP server: whatever it answers with 2xx, it has kept. */
import axios from 'axios';
import { OrchestratorError } from '../../kernel/errors.js';
import type { Anchor, Anchored, AnchoredCheckpoint, ProveFrom } from '../../ledger/anchor.js';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

export interface TextAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** Rejects with `integration_unavailable` when there is no answer. */
export async function postText(url: string, text: string, signal: AbortSignal): Promise<TextAnswer> {
  try {
    const { status, headers, data } = await axios.post<string>(url, text, {
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      signal,
      timeout: TIMEOUT_MS,
      maxContentLength: MAX_ANSWER_BYTES,
      maxRedirects: 0,
      proxy: false,
      responseType: 'text',
      transformResponse: (body: string) => body,
      validateStatus: () => true,
    });
    return { status, type: String(headers['content-type'] ?? ''), text: data };
  } catch (error) {
    const { message, code } = error as { message?: string; code?: string };
    throw new OrchestratorError('integration_unavailable', `${placeOf(url)} does not answer: ${message || code}`);
  }
}

/** Without what may be secret in a URL. */
export function placeOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname.replace(/\/$/, '');
}

export class WebhookAnchor implements Anchor {
  readonly name: string;

  constructor(private readonly url: string) {
    this.name = `webhook ${placeOf(url)}`;
  }

  async keep({ note }: AnchoredCheckpoint, _prove: ProveFrom, signal: AbortSignal): Promise<Anchored> {
    const { status } = await postText(this.url, note, signal);
    if (status >= 200 && status < 300) return {};
    throw new OrchestratorError('integration_unavailable', `${placeOf(this.url)} answered HTTP ${status}`);
  }
}
