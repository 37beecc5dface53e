/**
 * Reads the result of tools/call. The rule, the same for every tool and told in `read`: `data` is structuredContent; where there is none, it
 * is {content: […]}, the blocks as they came, also if one of them looks like JSON. `text` is the text blocks, one per line. Files that came
 * inside are named by size and hash, their bytes are not recorded. isError makes it a failure, and nothing else does.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Answer, FileReference, Said } from '../../../agents/agent-client.js';
import type { JsonValue } from '../../../kernel/json.js';

const MAX_MESSAGE = 4000;

const base64 = z.base64();
const Block = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({ type: z.enum(['image', 'audio']), data: base64, mimeType: z.string() }),
  z.object({
    type: z.literal('resource_link'),
    uri: z.string(),
    name: z.string(),
    mimeType: z.string().optional(),
    size: z.number().optional(),
  }),
  z.object({
    type: z.literal('resource'),
    resource: z.object({ uri: z.string(), mimeType: z.string().optional(), text: z.string().optional(), blob: base64.optional() }),
  }),
]);
type Block = z.output<typeof Block>;
const KNOWN: readonly string[] = ['text', 'image', 'audio', 'resource_link', 'resource'];

const Loose = z.looseObject({ type: z.string() });
const Result = z.looseObject({
  content: z.array(Loose).optional(),
  structuredContent: z.custom<JsonValue>().optional(),
  isError: z.boolean().optional(),
});

export function readToolResult(result: JsonValue): Answer {
  const parsed = Result.safeParse(result);
  if (!parsed.success) return invalid(result, parsed.error);
  const { content = [], structuredContent, isError = false } = parsed.data;
  if (parsed.data.content === undefined && structuredContent === undefined)
    return invalid(result, 'it has neither content nor structuredContent');
  const words: string[] = [];
  const files: FileReference[] = [];
  for (const [i, loose] of content.entries()) {
    if (!KNOWN.includes(loose.type)) continue; // kept as it came, read by nobody
    const block = Block.safeParse(loose);
    if (!block.success) return invalid(result, block.error, `content.${i}`);
    if (block.data.type === 'text') words.push(block.data.text);
    else files.push(fileOf(block.data));
  }
  const kept = content.map(withoutBytes);
  const structured = structuredContent !== undefined;
  const said: Said = {
    ...(words.length > 0 && { text: words.join('\n') }),
    ...(files.length > 0 && { files }),
    raw: { ...(result as object), ...(parsed.data.content && { content: kept }) } as JsonValue,
    read: `data: ${structured ? 'structuredContent' : 'content'}; text: text blocks of content; files: other blocks of content, their bytes left out of raw`,
  };
  const data = structured ? structuredContent : { content: kept };
  if (!isError) return { success: true, data, ...said };
  const message = words.join('\n').slice(0, MAX_MESSAGE) || 'the tool reported an error without words';
  return { success: false, code: 'agent_failed', message, data, ...said };
}

/** The 2026-07-28 way of asking back. The orchestrator has nobody to ask in the middle of a call, and says so to the server; some ask anyway. */
export function readInputRequired(result: JsonValue): Answer {
  const asked = z.object({ inputRequests: z.record(z.string(), z.looseObject({ params: z.looseObject({ message: z.string() }) })) });
  const parsed = asked.safeParse(result);
  const messages = parsed.success ? Object.values(parsed.data.inputRequests).map(({ params }) => params.message) : [];
  const message = messages.join('\n').slice(0, MAX_MESSAGE) || 'the tool wants input and does not say which';
  return { success: false, code: 'input_required', message, raw: result, read: 'resultType: input_required' };
}

function invalid(result: JsonValue, why: z.ZodError | string, where = 'the result'): Answer {
  const what = typeof why === 'string' ? why : why.issues.map((i) => `${[where, ...i.path].join('.')}: ${i.message}`).join('; ');
  return { success: false, code: 'agent_invalid_response', message: `expected the result of a tool, but ${what}`, raw: { value: result } };
}

function fileOf(block: Exclude<Block, { type: 'text' }>): FileReference {
  if (block.type === 'resource_link') {
    const { name, uri, mimeType, size } = block;
    return { name, url: uri, ...(mimeType && { media_type: mimeType }), ...(size !== undefined && { size }) };
  }
  if (block.type !== 'resource') return { media_type: block.mimeType, ...measured(Buffer.from(block.data, 'base64')) };
  const { uri, mimeType, text, blob } = block.resource;
  const bytes = blob !== undefined ? Buffer.from(blob, 'base64') : Buffer.from(text ?? '', 'utf8');
  return { url: uri, ...(mimeType && { media_type: mimeType }), ...measured(bytes) };
}

const measured = (bytes: Buffer) => ({ size: bytes.length, sha256: hash('sha256', bytes, 'hex') });

/** The text of a resource is an answer in words and stays. */
function withoutBytes(block: z.output<typeof Loose>): JsonValue {
  const { data, resource } = block as { data?: JsonValue; resource?: { blob?: JsonValue } };
  if (['image', 'audio'].includes(block.type)) return { ...block, data: stands(data) } as JsonValue;
  if (block.type === 'resource' && resource?.blob !== undefined)
    return { ...block, resource: { ...resource, blob: stands(resource.blob) } } as JsonValue;
  return block as JsonValue;
}

const stands = (bytes: JsonValue | undefined) => `sha256:${hash('sha256', Buffer.from(String(bytes), 'base64'), 'hex')}`;
