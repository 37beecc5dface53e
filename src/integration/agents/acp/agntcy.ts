/** The documents and answers of the Agent Connect Protocol 0.2 (AGNTCY), and how they are read. */
import { z } from 'zod';
import type { KnownDescription, Task } from '../../../agents/agent.js';
import type { Answer } from '../../../agents/agent-client.js';
import type { JsonValue } from '../../../kernel/json.js';
import { Json } from '../answer.js';
import { describe } from './described.js';

const Metadata = z.object({ ref: z.object({ name: z.string().min(1), version: z.string() }), description: z.string() });

export const FoundAgent = z.object({ agent_id: z.guid(), metadata: Metadata });
export const Descriptor = z.object({
  metadata: Metadata,
  specs: z.object({
    capabilities: z.object({
      threads: z.boolean().optional(),
      interrupts: z.boolean().optional(),
      callbacks: z.boolean().optional(),
      streaming: z.object({ values: z.boolean().optional(), custom: z.boolean().optional() }).optional(),
    }),
    input: z.json(),
    output: z.json(),
  }),
});

/** The tags by which a call knows what the agent streams. */
export const STREAMING = { values: 'streaming-values', custom: 'streaming-custom' } as const;

const Status = z.enum(['pending', 'error', 'success', 'timeout', 'interrupted']);
const Message = z.object({ content: z.union([z.string(), z.array(z.object({ text: z.string().optional().catch(undefined) }))]) });
const Messages = z.array(Message).nullish();
const Failed = z.object({ type: z.literal('error'), run_id: z.guid().nullish(), errcode: z.number(), description: z.string() });

export const Run = z.object({ run_id: z.guid(), agent_id: z.string().nullish(), status: Status });
export const Waited = z.object({
  run: Run.nullish(),
  output: z.discriminatedUnion('type', [
    z.object({ type: z.literal('result'), values: Json.optional(), messages: Messages }),
    z.object({ type: z.literal('interrupt'), interrupt: Json }),
    Failed,
  ]),
});
export type Waited = z.output<typeof Waited>;
export const Update = z.discriminatedUnion('type', [
  z.object({ type: z.literal('values'), run_id: z.guid(), status: Status, values: Json, messages: Messages }),
  z.object({ type: z.literal('custom'), run_id: z.guid().nullish(), status: Status, update: Json }),
  z.object({ type: z.literal('interrupt'), run_id: z.guid(), status: Status, interrupt: Json }),
  Failed.extend({ status: Status }),
]);
export type Update = z.output<typeof Update>;

/** Of a run that was interrupted. */
export const Continuation = z.object({ run_id: z.guid() });

/** One capability, the agent's name. What the descriptor says the agent can do on the wire becomes tags. */
export function described({ metadata, specs }: z.output<typeof Descriptor>): KnownDescription | string {
  const { ref, description } = metadata;
  const { streaming, ...others } = specs.capabilities;
  const able = [...Object.entries(others), ...Object.entries(streaming ?? {}).map(([name, can]) => [`streaming-${name}`, can] as const)];
  const tags = able.filter(([, can]) => can).map(([name]) => name);
  const capability = { name: ref.name, description, input: specs.input, output: specs.output, tags };
  return describe({ id: ref.name, name: ref.name, description, version: ref.version, capabilities: [capability] });
}

/** The task as a run: the parameters are its input as they are; what else there is of the task is its metadata. Hanging up cancels it. */
export const runOf = ({ task_id, capability, parameters, context }: Task, agent: string | null) => ({
  ...(agent !== null && { agent_id: agent }),
  input: parameters,
  metadata: { task_id, capability, ...(Object.keys(context).length > 0 && { context }) },
  on_disconnect: 'cancel',
});

const READ = 'ACP (AGNTCY) run: values became data (none: the text), the words of messages text';

/** What a run that was waited for came to; `id` where it is known already. */
export function answered({ run, output }: Waited, id: string | null, raw: JsonValue): Answer {
  const said = { raw, read: READ };
  if (output.type === 'error') return failure(output, raw);
  if (output.type === 'interrupt') return interrupted(output.interrupt, run?.run_id ?? id, raw);
  if (run && run.status !== 'success') {
    const message = `the run has the status ${run.status}, but a result`;
    return { success: false, code: 'agent_invalid_response', message, ...said };
  }
  return { success: true, ...contentOf(output.values, output.messages), ...said };
}

/** What an update of a stream says the run came to; null if it goes on. */
export function concluded(update: Update, raw: JsonValue): Answer | null {
  const said = { raw, read: READ };
  if (update.type === 'error') return failure(update, raw);
  if (update.type === 'interrupt') return interrupted(update.interrupt, update.run_id, raw);
  if (update.status === 'pending') return null;
  if (update.type === 'values' && update.status === 'success')
    return { success: true, ...contentOf(update.values, update.messages), ...said };
  if (update.type === 'custom' && update.status === 'success') return null; // the values are still to come
  return { success: false, code: 'agent_failed', message: `the run ended with the status ${update.status}`, ...said };
}

function failure({ errcode, description }: z.output<typeof Failed>, raw: JsonValue): Answer {
  return { success: false, code: 'agent_failed', message: `${errcode}: ${description}`, raw, read: READ };
}

function interrupted(interrupt: JsonValue, run_id: string | null, raw: JsonValue): Answer {
  const message = 'the run was interrupted and awaits an answer; data is what it asked';
  const continuation = run_id !== null && { continuation: { run_id } };
  return { success: false, code: 'input_required', message, data: interrupt, raw, read: READ, ...continuation };
}

/** Values that are a text are words as well, and words alone are the data. */
function contentOf(values: JsonValue | undefined, messages: z.output<typeof Messages>) {
  const said = messages?.map(({ content }) => (typeof content === 'string' ? content : content.map(({ text }) => text ?? '').join('')));
  const text = said?.filter((words) => words !== '').join('\n') || (typeof values === 'string' ? values : '');
  return { data: values ?? (text === '' ? null : { text }), ...(text !== '' && { text }) };
}

/** The body of an error is a bare JSON text. */
export const errorOf = (body: JsonValue): string | null => (typeof body === 'string' ? body : null);
