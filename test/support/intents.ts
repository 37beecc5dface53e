/** Intents as the ContractManager makes them, without the rest of the house. */

import { newId } from '../../src/kernel/ids.system.js';
import type { Appender } from '../../src/ledger/append.worker.js';
import type { Intent } from '../../src/ledger/batch.js';
import { newDisclosure, newDraft } from '../../src/ledger/draft.system.js';
import type { Draft } from '../../src/ledger/record.js';
import type { AppendResult } from '../../src/ledger/send.postgres.js';

export const newStream = () => `default/session/${newId()}`;

export const OWNER = newId();

export function requestDraft(text = 'hello'): Draft {
  return newDraft('contract.request', { task: newId(), from: 'orchestrator', status: 'pending' }, { parameters: { text } });
}

export function responseDraft(request: string, text = 'done'): Draft {
  return newDraft(
    'contract.response',
    { in_reply_to: request, cause: request, to: 'orchestrator', status: 'completed' },
    { result: { text } },
  );
}

export const requestIntent = (stream: string, draft = requestDraft()): Intent => ({
  stream,
  drafts: [draft],
  open: { owner: OWNER, seconds: 30 },
});

export const responseIntent = (stream: string, request: string): Intent => ({ stream, drafts: [responseDraft(request)] });

/** A whole contract in one go. */
export function contractIntent(stream: string, text?: string): Intent {
  const request = requestDraft(text);
  return { stream, drafts: [request, responseDraft(request.id)] };
}

export function openingIntent(name: string, after: { stream: string; seal: string } | null = null): Intent {
  const opening = { tenant: 'default', name, after, disclosure: newDisclosure('session', name) };
  return { ...requestIntent(newStream()), opening };
}

/** A session of one contract that idleness has closed: what the next event under its name goes on from. */
export async function idleSession(appender: Appender, name: string): Promise<{ stream: string; seal: string }> {
  const opening = openingIntent(name);
  const [request] = opening.drafts;
  const seal = newDraft('session.closed', { reason: 'idle' });
  const drafts = [request!, responseDraft(request!.id), seal];
  const { refusal } = await appender.append({ ...opening, drafts });
  if (refusal) throw new Error(`refused: ${refusal.code}`);
  return { stream: opening.stream, seal: seal.id };
}

/** A REQUEST and, when it is committed, its RESPONSE; says how it went. */
export async function runContract(appender: Appender, stream: string): Promise<AppendResult> {
  const request = requestDraft();
  const asked = await appender.append(requestIntent(stream, request), 20_000);
  if (asked.refusal) return asked;
  return appender.append(responseIntent(stream, request.id), 20_000);
}
