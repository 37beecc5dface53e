/**
 * Parameters that a tool's input schema marks with `x-mcp-header` travel as headers too (2026-07-28, SEP-2243); a server refuses the call if
 * they are missing. The SDK does this only in `callTool`, which compiles schemas without a bound and would send a refused call again.
 */
import type { JsonSchema } from '../../../agents/json-schema.js';
import type { JsonValue } from '../../../kernel/json.js';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const MAX_DEPTH = 16;

export function paramHeaders(schema: JsonSchema | undefined, parameters: JsonValue, depth = 0): Record<string, string> {
  const properties = schema?.['properties'];
  if (!isObject(properties) || !isObject(parameters) || depth > MAX_DEPTH) return {};
  let headers: Record<string, string> = {};
  for (const [name, property] of Object.entries(properties)) {
    const value = Object.hasOwn(parameters, name) ? parameters[name]! : null;
    if (!isObject(property) || value === null) continue;
    const header = property['x-mcp-header'];
    if (typeof header === 'string' && TOKEN.test(header) && typeof value !== 'object')
      headers[`Mcp-Param-${header}`] = encoded(String(value));
    headers = { ...headers, ...paramHeaders(property, value, depth + 1) };
  }
  return headers;
}

/** As it is where a header can hold it, otherwise as base64. */
function encoded(value: string): string {
  const plain = /^[\t\x20-\x7e]+$/.test(value) && value === value.trim() && !(value.startsWith('=?base64?') && value.endsWith('?='));
  return plain ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}

const isObject = (value: JsonValue | undefined): value is { [name: string]: JsonValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
