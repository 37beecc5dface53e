/**
 * How an agent's message or task becomes an answer, in the form of A2A 1.0 that the SDK brings both versions to. Where several parts stand
 * side by side:
 *
 * - The parts that count are those of the message; of a task, those of its artifacts, or of its status message if it has no artifacts.
 * - `data`: the one data part, or the list of all data parts; without any, `{text}`; without text, null.
 * - `text`: text parts of one artifact joined as they came (it may have been streamed in pieces), otherwise by a line break.
 * - `files`: what stands in the message itself is weighed and hashed, not kept.
 *
 * Whether it went well is said by the task's state alone. An answer by message is one that went well, whatever its words say.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Answer, FileReference, Said } from '../../../agents/agent-client.js';
import type { JsonValue } from '../../../kernel/json.js';
import { Json } from '../answer.js';

const Part = z
  .object({
    text: z.string().optional(),
    data: Json.optional(),
    url: z.string().optional(),
    raw: z.string().optional(),
    filename: z.string().optional(),
    mediaType: z.string().optional(),
  })
  .refine(({ text, data, url, raw }) => [text, data, url, raw].some((said) => said !== undefined), 'has none of text, data, url and raw');
const Parts = z.array(Part).default([]);

export const Message = z.object({
  messageId: z.string().optional(),
  contextId: z.string().optional(),
  taskId: z.string().optional(),
  parts: Parts,
});
export const Status = z.object({ state: z.string().default('TASK_STATE_UNSPECIFIED'), message: Message.optional() });
export const Artifact = z.object({ artifactId: z.string().default(''), name: z.string().optional(), parts: Parts });
export const Task = z.object({
  id: z.string().min(1),
  contextId: z.string().optional(),
  status: Status,
  artifacts: z.array(Artifact).default([]),
});

export type Part = z.output<typeof Part>;
export type Message = z.output<typeof Message>;
export type Artifact = z.output<typeof Artifact>;
export type Task = z.output<typeof Task>;

const FAILURES = {
  TASK_STATE_FAILED: 'agent_failed',
  TASK_STATE_REJECTED: 'agent_failed',
  TASK_STATE_CANCELED: 'cancelled',
  TASK_STATE_INPUT_REQUIRED: 'input_required',
  TASK_STATE_AUTH_REQUIRED: 'auth_required',
} as const;

const RUNNING = ['TASK_STATE_SUBMITTED', 'TASK_STATE_WORKING'];

export const isRunning = ({ status }: Task) => RUNNING.includes(status.state);

/** `working` of `TASK_STATE_WORKING`. */
export const stateWord = (state: string) => state.replace('TASK_STATE_', '').toLowerCase().replace('_', '-');

export function answerOfMessage(message: Message): Answer {
  const { data, read, ...said } = partsRead([message.parts], '\n');
  return { success: true, data, ...said, read: `message: ${read}`, ...continuation({ contextId: message.contextId }) };
}

/** Of a task that does not run any more. */
export function answerOfTask(task: Task): Answer {
  const { state, message } = task.status;
  const words = message && partsRead([message.parts], '\n').text;
  const artifacts = task.artifacts.filter(({ parts }) => parts.length > 0);
  const { data, read, ...said } =
    artifacts.length > 0
      ? partsRead(
          artifacts.map(({ parts }) => parts),
          '',
        )
      : partsRead([message?.parts ?? []], '\n');
  const from = artifacts.length > 0 ? `${artifacts.length} artifact(s)` : 'its status message';
  const rest = { ...said, read: `task ${stateWord(state)}, ${from}: ${read}` };
  if (state === 'TASK_STATE_COMPLETED') return { success: true, data, ...rest, ...continuation({ contextId: task.contextId }) };
  const code = FAILURES[state as keyof typeof FAILURES];
  if (!code)
    return {
      success: false,
      code: 'agent_invalid_response',
      message: `the task is in the state ${state.slice(0, 100)}, which A2A does not know`,
      ...rest,
    };
  const interrupted = code === 'input_required' || code === 'auth_required';
  return {
    success: false,
    code,
    message: words || `the task is ${stateWord(state)}, the agent gave no reason`,
    ...(data !== null && { data }),
    ...rest,
    ...continuation({ contextId: task.contextId, ...(interrupted && { taskId: task.id }) }),
  };
}

/** What is left out stays out: the next call sends back just this. */
export function continuation(of: { contextId?: string | undefined; taskId?: string | undefined }): Pick<Said, 'continuation'> {
  const { contextId, taskId } = of;
  return contextId || taskId ? { continuation: { ...(contextId && { contextId }), ...(taskId && { taskId }) } } : {};
}

/** The text parts of a group belong together as `glue` says, groups stand on lines of their own. */
function partsRead(groups: readonly (readonly Part[])[], glue: string): { data: JsonValue; read: string } & Pick<Said, 'text' | 'files'> {
  const parts = groups.flat();
  const data = parts.flatMap((part) => (part.data === undefined ? [] : [part.data]));
  const texts = groups.map((group) => group.flatMap((part) => part.text ?? [])).filter((group) => group.length > 0);
  const text = texts.map((group) => group.join(glue)).join('\n');
  const files = parts.flatMap(fileOf);
  const from =
    data.length > 1 ? `the list of ${data.length} data parts` : data.length === 1 ? 'its data part' : texts.length > 0 ? '{text}' : 'null';
  return {
    data: data.length > 1 ? data : (data[0] ?? (texts.length > 0 ? { text } : null)),
    ...(texts.length > 0 && { text }),
    ...(files.length > 0 && { files }),
    read: `data is ${from}, text is ${texts.flat().length} text part(s), ${files.length} file(s)`,
  };
}

function fileOf({ raw, url, filename, mediaType }: Part): FileReference[] {
  const known = { ...(filename && { name: filename }), ...(mediaType && { media_type: mediaType }) };
  if (raw !== undefined) return [{ ...known, ...weighed(raw) }];
  return url === undefined ? [] : [{ ...known, url }];
}

function weighed(base64: string): { size: number; sha256: string } {
  const bytes = Buffer.from(base64, 'base64');
  return { size: bytes.length, sha256: hash('sha256', bytes, 'hex') };
}

/** The answer as it came, but for files that came inside: in their place stands `{size, sha256}`. */
export function withoutFiles(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(withoutFiles);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]): [string, JsonValue] => {
    if (name === 'data' || name === 'metadata') return [name, inner];
    if ((name === 'parts' || name === 'content') && Array.isArray(inner)) return [name, inner.map(withoutFile)];
    return [name, withoutFiles(inner)];
  });
  return Object.fromEntries(entries);
}

/** 1.0 has the bytes in `raw`, 0.3 in `file.bytes`, its HTTP binding in `file.fileWithBytes`. */
function withoutFile(part: JsonValue): JsonValue {
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
  const { raw, file } = part;
  if (typeof raw === 'string') return { ...part, raw: weighed(raw) };
  if (typeof file !== 'object' || file === null || Array.isArray(file)) return part;
  const inside = ['bytes', 'fileWithBytes', 'file_with_bytes'].filter((name) => typeof file[name] === 'string');
  return { ...part, file: { ...file, ...Object.fromEntries(inside.map((name) => [name, weighed(file[name] as string)])) } };
}
