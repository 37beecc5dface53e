/** The documents and answers of the plain dialect: POST /invoke, described by /capabilities or /schema. Nobody published it; many speak it. */
import { z } from 'zod';
import type { KnownDescription, Task } from '../../../agents/agent.js';
import type { Answer } from '../../../agents/agent-client.js';
import type { JsonValue } from '../../../kernel/json.js';
import { Json } from '../answer.js';
import { describe } from './described.js';

export const Capabilities = z.object({
  agent_id: z.string().min(1),
  agent_name: z.string().min(1).nullish(),
  description: z.string().nullish(),
  version: z.string().nullish(),
  capabilities: z
    .array(
      z.object({
        name: z.string(),
        description: z.string().nullish(),
        input_schema: z.json().nullish(),
        output_schema: z.json().nullish(),
      }),
    )
    .min(1),
});
export const Schema = z.object({ input: z.record(z.string(), z.json()), output: z.record(z.string(), z.json()) });
/** GET /agent-info names the agent in one of these ways. */
export const AgentInfo = z.object({
  agent_id: z.string().min(1).nullish(),
  agent_name: z.string().min(1).nullish(),
  name: z.string().min(1).nullish(),
  agent: z.string().min(1).nullish(),
  description: z.string().nullish(),
  version: z.string().nullish(),
});

export const ErrorBody = z.object({ error: z.string(), code: z.union([z.string(), z.number()]).nullish(), details: Json.nullish() });
const Invoked = z.object({ id: z.string().nullish(), output: Json, status: z.string() });
/** An event of a stream. */
export const Step = z.object({
  status: z.string(),
  message: z.string().nullish(),
  result: Json.optional(),
  error: Json.optional(),
});
/** After the last event. */
export const DONE = '[DONE]';

export function described({
  agent_id,
  agent_name,
  description,
  version,
  capabilities,
}: z.output<typeof Capabilities>): KnownDescription | string {
  return describe({
    id: agent_id,
    name: agent_name ?? agent_id,
    description: description ?? '',
    version: version ?? undefined,
    capabilities: capabilities.map((capability) => ({
      name: capability.name,
      description: capability.description ?? '',
      input: capability.input_schema,
      output: capability.output_schema,
    })),
  });
}

/** Without /capabilities: one capability, `invoke`, of an agent that is called as /agent-info says, or else as its host. */
export function describedBySchema(
  { input, output }: z.output<typeof Schema>,
  info: z.output<typeof AgentInfo>,
  host: string,
): KnownDescription | string {
  const name = info.agent_name ?? info.name ?? info.agent ?? info.agent_id ?? host;
  const description = info.description ?? '';
  const capabilities = [{ name: 'invoke', description, input, output }];
  return describe({ id: info.agent_id ?? name, name, description, version: info.version ?? undefined, capabilities });
}

/**
 * The task as an invocation: the parameters are its input and a context that is not empty its config, both as they are. `capability` is there only
 * for an agent that has several: the dialect knows no such member.
 */
export const invocationOf = ({ capability, parameters, context }: Task, { several, stream }: { several: boolean; stream: boolean }) => ({
  ...(several && { capability }),
  input: parameters,
  ...(Object.keys(context).length > 0 && { config: context }),
  stream,
});

const READ = 'ACP (/invoke): output became data, an output that is a text also text';

export function answered(raw: JsonValue): Answer {
  const error = wordsOf(raw);
  if (error !== null) return { success: false, code: 'agent_failed', message: error, raw, read: READ };
  const invoked = Invoked.safeParse(raw);
  if (!invoked.success) {
    const message = `expected {id, output, status}, but ${invoked.error.issues.map((i) => `${i.path.join('.') || 'the answer'}: ${i.message}`).join('; ')}`;
    return { success: false, code: 'agent_invalid_response', message, raw };
  }
  const { output, status } = invoked.data;
  if (status === 'completed')
    return { success: true, data: output, ...(typeof output === 'string' && output !== '' && { text: output }), raw, read: READ };
  const ended = status === 'error' || status === 'failed';
  const message = ended ? `the agent says "${status}"` : `the agent answered before it was done, with the status "${status.slice(0, 100)}"`;
  return { success: false, code: ended ? 'agent_failed' : 'agent_invalid_response', message, data: output, raw, read: READ };
}

/** What an event of a stream came to; null if it goes on. */
export function concluded({ status, result, error }: z.output<typeof Step>, raw: JsonValue): Answer | null {
  if (status === 'completed') return answered(result ?? null);
  if (status !== 'error') return null;
  const message = typeof error === 'string' ? error : error === undefined ? 'the agent gave no reason' : JSON.stringify(error);
  return { success: false, code: 'agent_failed', message, raw, read: READ };
}

/** Of an error body, if it is one. */
export function wordsOf(body: JsonValue): string | null {
  if (typeof body !== 'object' || body === null || !('error' in body)) return null;
  const { data } = ErrorBody.safeParse(body);
  return data ? `${data.error}${data.code != null ? ` (${data.code})` : ''}` : null;
}
