/**
 * What may go over the wire between an ACP agent and its caller, written down again from two public OpenAPI 3.1 documents as far as our requests
 * and our test agents' answers reach: Agent Communication Protocol 0.2.0 (github.com/i-am-bee/acp, Apache-2.0) and Agent Connect Protocol 0.2.3
 * (github.com/agntcy/acp-spec, Apache-2.0). Where the documents leave members open, nothing further is allowed to us: a misspelt member is a fault.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

const uuid = { type: 'string', format: 'uuid' };
const time = { type: 'string', format: 'date-time' };
const object = { type: 'object' };
const text = { type: 'string' };
const anything = { oneOf: [object, text, { type: 'number' }, { type: 'boolean' }, { type: 'array' }] };
const optional = (schema: object) => ({ anyOf: [schema, { type: 'null' }] });
const list = (items: object, minItems = 0) => ({ type: 'array', items, minItems });
const members = (required: Record<string, object>, others: Record<string, object> = {}) => ({
  type: 'object',
  properties: { ...required, ...others },
  required: Object.keys(required),
  additionalProperties: false,
});

const beeName = { type: 'string', pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$', maxLength: 63 };
const beeMode = { enum: ['sync', 'async', 'stream'] };
const beePart = {
  ...members(
    { content_type: text },
    {
      name: text,
      content: text,
      content_encoding: { enum: ['plain', 'base64'] },
      content_url: { type: 'string', format: 'uri' },
      metadata: object,
    },
  ),
  not: { required: ['content', 'content_url'] },
};
const beeMessage = members(
  { role: { type: 'string', pattern: '^(user|agent(/[a-zA-Z0-9_-]+)?)$' }, parts: list(beePart, 1) },
  { created_at: time, completed_at: time },
);
const beeError = members({ code: { enum: ['server_error', 'invalid_input', 'not_found'] }, message: text }, { data: optional(object) });
const beeRun = members(
  {
    agent_name: beeName,
    run_id: uuid,
    status: { enum: ['created', 'in-progress', 'awaiting', 'cancelling', 'cancelled', 'completed', 'failed'] },
    output: list(beeMessage),
    created_at: time,
  },
  { session_id: uuid, await_request: optional(object), error: optional(beeError), finished_at: time },
);
const beeManifest = members(
  { name: beeName, description: text, input_content_types: list(text, 1), output_content_types: list(text, 1) },
  {
    metadata: {
      type: 'object',
      properties: { annotations: object, tags: list(text), capabilities: list(members({ name: text, description: text })) },
    },
  },
);

const status = { enum: ['pending', 'error', 'success', 'timeout', 'interrupted'] };
const messages = list(members({ role: text, content: anything }, { id: text, metadata: object }));
const metadata = members({ ref: members({ name: text, version: text }, { url: text }), description: text });
const runCreate = members(
  {},
  {
    agent_id: text,
    input: anything,
    metadata: object,
    config: object,
    stream_mode: { anyOf: [{ enum: ['values', 'custom', null] }, list({ enum: ['values', 'custom'] })] },
    on_disconnect: { enum: ['cancel', 'continue'] },
    on_completion: { enum: ['delete', 'keep'] },
  },
);
const run = members({ run_id: uuid, agent_id: uuid, created_at: time, updated_at: time, status, creation: runCreate }, { thread_id: uuid });
const failed = { type: { const: 'error' }, run_id: uuid, errcode: { type: 'integer' }, description: text };

const SCHEMAS = {
  'bee:manifest': beeManifest,
  'bee:list': members({ agents: list(beeManifest) }),
  'bee:create': members({ agent_name: beeName, input: list(beeMessage, 1) }, { session_id: uuid, session: object, mode: beeMode }),
  'bee:resume': members({ run_id: uuid, await_resume: object, mode: beeMode }),
  'bee:run': beeRun,
  'bee:event': {
    oneOf: [
      members({ type: { enum: ['message.created', 'message.completed'] }, message: beeMessage }),
      members({ type: { const: 'message.part' }, part: beePart }),
      members({ type: { const: 'generic' }, generic: object }),
      members({
        type: { enum: ['created', 'in-progress', 'awaiting', 'completed', 'failed', 'cancelled'].map((s) => `run.${s}`) },
        run: beeRun,
      }),
      members({ type: { const: 'error' }, error: beeError }),
    ],
  },
  'bee:error': beeError,
  'agntcy:search': members(
    {},
    { name: text, version: text, limit: { type: 'integer', minimum: 1, maximum: 1000 }, offset: { type: 'integer', minimum: 0 } },
  ),
  'agntcy:agent': members({ agent_id: uuid, metadata }),
  'agntcy:agents': list(members({ agent_id: uuid, metadata })),
  'agntcy:descriptor': members({
    metadata,
    specs: members(
      {
        capabilities: members(
          {},
          { threads: { type: 'boolean' }, interrupts: { type: 'boolean' }, callbacks: { type: 'boolean' }, streaming: object },
        ),
        input: object,
        output: object,
        config: object,
      },
      { interrupts: list(members({ interrupt_type: text, interrupt_payload: object, resume_payload: object })) },
    ),
  }),
  'agntcy:create': runCreate,
  'agntcy:resume': anything,
  'agntcy:run': run,
  'agntcy:waited': members({
    run,
    output: {
      oneOf: [
        members({ type: { const: 'result' } }, { values: anything, messages }),
        members({ type: { const: 'interrupt' }, interrupt: anything }),
        members(failed),
      ],
    },
  }),
  'agntcy:update': {
    oneOf: [
      members({ type: { const: 'values' }, run_id: uuid, status, values: anything }, { messages }),
      members({ type: { const: 'custom' }, status, update: anything }, { run_id: uuid }),
      members({ type: { const: 'interrupt' }, run_id: uuid, status, interrupt: anything }),
      members({ ...failed, status }),
    ],
  },
  'agntcy:error': text,
};

export type WireShape = keyof typeof SCHEMAS;

const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);

/** How a value breaks the protocol; null if it does not. */
export function fault(shape: WireShape, value: unknown): string | null {
  const check = ajv.getSchema(shape) ?? ajv.compile({ $id: shape, ...SCHEMAS[shape] });
  return check(value) ? null : `${shape}: ${ajv.errorsText(check.errors)} in ${JSON.stringify(value)}`;
}
