/** The documents and answers of the Agent Communication Protocol 0.2 (IBM, BeeAI), and how they are read. */
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { KnownDescription, Task } from '../../../agents/agent.js';
import type { Answer, FileReference } from '../../../agents/agent-client.js';
import { type JsonValue, parseJsonBytes } from '../../../kernel/json.js';
import { describe } from './described.js';

const Schemas = z.object({ input_schema: z.json().optional(), output_schema: z.json().optional() });

export const Manifest = z.object({
  name: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
    .max(63),
  description: z.string().nullable(),
  input_content_types: z.array(z.string()).min(1),
  metadata: z
    .object({
      capabilities: z.array(z.object({ name: z.string(), description: z.string().nullish() })).nullish(),
      tags: z.array(z.string()).nullish(),
      annotations: z.object({ schemas: z.record(z.string(), Schemas).optional().catch(undefined) }).nullish(),
    })
    .nullish(),
});
export const Listing = z.object({ agents: z.array(z.unknown()) });

const Part = z.object({
  name: z.string().nullish(),
  content_type: z.string().default('text/plain'),
  content: z.string().nullish(),
  content_encoding: z.enum(['plain', 'base64']).nullish(),
  content_url: z.string().nullish(),
});
type Part = z.output<typeof Part>;
const ErrorBody = z.object({ code: z.string(), message: z.string() });

export const Run = z.object({
  run_id: z.guid(),
  agent_name: z.string(),
  session_id: z.string().max(200).nullish(),
  status: z.enum(['created', 'in-progress', 'awaiting', 'cancelling', 'cancelled', 'completed', 'failed']),
  await_request: z.record(z.string(), z.json()).nullish(),
  output: z.array(z.object({ parts: z.array(Part) })).default([]),
  error: ErrorBody.nullish(),
});
export type Run = z.output<typeof Run>;

/** What we need of an event: its run says where the agent is, its part what it just said. */
export const Event = z.object({
  type: z.string(),
  run: z.json().optional(),
  part: Part.optional().catch(undefined),
  error: ErrorBody.optional().catch(undefined),
});

/** Where a conversation with the agent stands. */
export const Continuation = z.object({
  session_id: z.string().max(200).optional(),
  /** Of a run that awaits something, and what kind of answer it wants. */
  run_id: z.guid().optional(),
  await_type: z.string().max(100).optional(),
});
export type Continuation = z.output<typeof Continuation>;

/** One capability each of `metadata.capabilities`, else one of the agent's name. Schemas stand in `metadata.annotations.schemas`, by capability. */
export function described({ name, description, input_content_types, metadata }: z.output<typeof Manifest>): KnownDescription | string {
  const named = metadata?.capabilities?.length ? metadata.capabilities : [{ name, description }];
  const schemas = metadata?.annotations?.schemas ?? {};
  const onlyText = input_content_types.every((type) => type.startsWith('text/'));
  return describe({
    id: name,
    name,
    description: description ?? '',
    capabilities: named.map((capability) => ({
      name: capability.name,
      description: capability.description ?? '',
      input: own(schemas, capability.name)?.input_schema ?? (onlyText ? TEXT : undefined),
      output: own(schemas, capability.name)?.output_schema,
      tags: metadata?.tags ?? [],
    })),
  });
}

/** What an agent that takes nothing but text can be given, by the rule of `inputOf`. */
const TEXT = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'], additionalProperties: false };

const own = <T>(record: Record<string, T>, name: string) => (Object.hasOwn(record, name) ? record[name] : undefined);

/**
 * The task as a message: parameters that are exactly `{"text": "…"}` as a text/plain part, all others whole as an application/json part, named
 * by the capability where the agent has several. A context that is not empty follows as a JSON part named `context`.
 */
export function inputOf({ capability, parameters, context }: Task, several: boolean) {
  const { text, ...others } = parameters;
  const isText = typeof text === 'string' && Object.keys(others).length === 0;
  const part = isText
    ? { content_type: 'text/plain', content: text }
    : { content_type: 'application/json', content: JSON.stringify(parameters) };
  const named = { ...(several && { name: capability }), ...part };
  const around = { name: 'context', content_type: 'application/json', content: JSON.stringify(context) };
  return { role: 'user', parts: Object.keys(context).length > 0 ? [named, around] : [named] };
}

/** An awaiting run that asked by a message is answered by one; every other gets the parameters as they are. */
export const resumeOf = (task: Task, { await_type }: Continuation): JsonValue =>
  await_type === 'message' ? { type: 'message', message: inputOf(task, false) } : task.parameters;

const READ = 'ACP (BeeAI) run: application/json parts of output became data (several: a list), unnamed text parts text, all others files';

/** The run's outcome; null while it has none. */
export function answered(run: Run, raw: JsonValue): Answer | null {
  const session = run.session_id ? { session_id: run.session_id } : undefined;
  const said = { raw: withoutBytes(raw, run), read: READ, ...(session && { continuation: session }) };
  switch (run.status) {
    case 'completed':
      try {
        return { success: true, ...said, ...contentOf(run) };
      } catch (error) {
        return { success: false, code: 'agent_invalid_response', message: (error as Error).message, ...said };
      }
    case 'awaiting': {
      const type = run.await_request?.['type'];
      const continuation = { ...session, run_id: run.run_id, ...(typeof type === 'string' && { await_type: type.slice(0, 100) }) };
      const message = questionOf(run) || 'the agent awaits an answer; data is what it asked';
      return { success: false, code: 'input_required', message, data: run.await_request ?? null, ...said, continuation };
    }
    case 'failed':
      return { success: false, code: 'agent_failed', message: run.error ? wordsOf(run.error)! : 'the agent gave no reason', ...said };
    case 'cancelled':
      return { success: false, code: 'cancelled', message: 'the agent says that the run was cancelled', ...said };
    default:
      return null;
  }
}

/** Of an error body, if it is one. */
export function wordsOf(body: JsonValue): string | null {
  const { data } = ErrorBody.safeParse(body);
  return data ? `${data.code}: ${data.message}` : null;
}

/** Throws with the reason if a part is not what it says. */
function contentOf(run: Run) {
  const data: JsonValue[] = [];
  const files: FileReference[] = [];
  const texts: string[] = [];
  for (const { parts } of run.output) {
    let words = '';
    for (const part of parts) {
      const bytes = bytesOf(part);
      if (isJson(part) && bytes) data.push(parseJsonBytes(bytes) as JsonValue);
      else if (isText(part) && bytes) words += bytes.toString('utf8');
      else if (bytes || part.content_url) files.push(fileOf(part, bytes));
    }
    if (words !== '') texts.push(words);
  }
  const text = texts.join('\n');
  return {
    data: data.length > 1 ? data : (data[0] ?? (text === '' ? null : { text })),
    ...(text !== '' && { text }),
    ...(files.length > 0 && { files }),
  };
}

/** What an awaiting run asks, where it asks in words. */
function questionOf({ await_request }: Run): string {
  const parts = z.array(Part).safeParse((await_request?.['message'] as { parts?: unknown } | undefined)?.parts).data ?? [];
  return parts.map((part) => deltaOf(part) ?? '').join('');
}

/** The run as it came, but files are not recorded: their hashes stand for their bytes. */
function withoutBytes(raw: JsonValue, { output }: Run): JsonValue {
  if (!output.some(({ parts }) => parts.some(isBinary))) return raw;
  const messages = (raw as { output: { parts: Record<string, JsonValue>[] }[] }).output.map((message, m) => {
    const parts = message.parts.map((part, p) => {
      const read = output[m]!.parts[p]!;
      return isBinary(read) ? { ...part, content: `sha256:${sha256(Buffer.from(read.content!, 'base64'))}` } : part;
    });
    return { ...message, parts };
  });
  return { ...(raw as object), output: messages };
}

/** The words of a part that is nothing but words. */
export const deltaOf = (part: Part): string | null =>
  isText(part) && part.content && part.content_encoding !== 'base64' ? part.content : null;

const isJson = ({ content_type }: Part) => /^application\/([\w.-]+\+)?json\b/i.test(content_type);
const isBinary = (part: Part) => part.content_encoding === 'base64' && !!part.content && !isJson(part) && !isText(part);
const isText = ({ content_type, name }: Part) => /^text\//i.test(content_type) && !name;

function bytesOf({ content, content_encoding }: Part): Buffer | null {
  if (typeof content !== 'string') return null;
  if (content_encoding !== 'base64') return Buffer.from(content);
  if (content.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(content))
    throw new Error('a part of the output is not the base64 it says it is');
  return Buffer.from(content, 'base64');
}

const fileOf = ({ name, content_type, content_url }: Part, bytes: Buffer | null): FileReference => ({
  ...(name && { name }),
  media_type: content_type,
  ...(content_url && { url: content_url }),
  ...(bytes && { size: bytes.length, sha256: sha256(bytes) }),
});

const sha256 = (bytes: Buffer) => hash('sha256', bytes, 'hex');
