/**
 * What we send: a message of one part. A2A skills have no schemas, so how parameters are put follows, in this order:
 *
 * 1. The skill has an input schema, or takes no text: a data part with the parameters as they are.
 * 2. One parameter, and it is a text: a text part with that text, which is what most agents of this protocol expect.
 * 3. The skill takes JSON: a data part. Otherwise a text part with the parameters as JSON text.
 *
 * What it takes is said by its input modes. The skill's id is in `metadata.skill`, the caller's context, if any, in `metadata.context`.
 */
import type { Task } from '../../../agents/agent.js';
import type { JsonValue } from '../../../kernel/json.js';

export interface Conversation {
  readonly contextId?: string | undefined;
  readonly taskId?: string | undefined;
}

export interface Asked {
  readonly skill: string;
  readonly hasSchema: boolean;
  readonly inputModes: readonly string[];
}

/** A message of A2A 1.0 as JSON; the SDK says it in 0.3 where needed. The contract's id is its id: an agent may know it again by that. */
export function question(task: Task, { skill, hasSchema, inputModes }: Asked, { contextId, taskId }: Conversation): JsonValue {
  const metadata = { skill, ...(Object.keys(task.context).length > 0 && { context: task.context }) };
  return {
    messageId: task.task_id,
    role: 'ROLE_USER',
    parts: [part(task.parameters, hasSchema, inputModes)],
    metadata,
    ...(contextId && { contextId }),
    ...(taskId && { taskId }),
  };
}

function part(parameters: Task['parameters'], hasSchema: boolean, modes: readonly string[]): JsonValue {
  const takesText = modes.length === 0 || modes.some((mode) => mode === '*/*' || mode.startsWith('text'));
  const takesJson = modes.some((mode) => mode === '*/*' || mode.includes('json') || mode === 'data');
  const data = { data: parameters, mediaType: 'application/json' };
  if (hasSchema || !takesText) return data;
  const [only, ...others] = Object.values(parameters);
  if (typeof only === 'string' && others.length === 0) return { text: only };
  return takesJson ? data : { text: JSON.stringify(parameters) };
}
