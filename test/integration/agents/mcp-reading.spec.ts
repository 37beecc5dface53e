import { paramHeaders } from '../../../src/integration/agents/mcp/param-headers.js';
import { readInputRequired, readToolResult } from '../../../src/integration/agents/mcp/tool-result.js';
import { describe as described, idFor } from '../../../src/integration/agents/mcp/tools.js';
import type { JsonValue } from '../../../src/kernel/json.js';

describe('the result of a tool', () => {
  it.each([null, 0, false, '', []])('may have %j as structured content', (structuredContent: JsonValue) => {
    expect(readToolResult({ structuredContent })).toMatchObject({ success: true, data: structuredContent });
  });

  it('keeps blocks and members nobody knows', () => {
    const result = {
      content: [
        { type: 'hologram', x: 1 },
        { type: 'text', text: 'a', extra: { y: 2 } },
      ],
      _meta: { z: 3 },
      more: 4,
    };
    expect(readToolResult(result)).toEqual({
      success: true,
      data: { content: result.content },
      text: 'a',
      raw: result,
      read: expect.any(String),
    });
  });

  it('that is an error without words is a failure all the same', () => {
    expect(readToolResult({ content: [], isError: true })).toMatchObject({
      success: false,
      code: 'agent_failed',
      message: expect.stringMatching(/without words/),
    });
  });

  it.each<[string, JsonValue]>([
    ['no object', 7],
    ['isError that is no boolean', { content: [], isError: 'yes' }],
    ['text that is no text', { content: [{ type: 'text', text: 7 }] }],
    ['a block without type', { content: [{}] }],
    ['a resource without URI', { content: [{ type: 'resource', resource: {} }] }],
  ])('is invalid with %s, and kept', (_what, result) => {
    expect(readToolResult(result)).toMatchObject({ success: false, code: 'agent_invalid_response', raw: { value: result } });
  });

  it('that asks back without saying what fails with a message too', () => {
    expect(readInputRequired({ resultType: 'input_required', requestState: 's' })).toMatchObject({
      code: 'input_required',
      message: expect.stringMatching(/wants input/),
    });
  });
});

describe('parameters that travel as headers', () => {
  const property = (header: JsonValue) => ({ type: 'object', properties: { a: { type: 'string', 'x-mcp-header': header } } });

  it.each<[JsonValue, string | undefined]>([
    ['plain', 'plain'],
    [7, '7'],
    [true, 'true'],
    [' padded', '=?base64?IHBhZGRlZA==?='],
    ['ü', '=?base64?w7w=?='],
    ['a\nb', '=?base64?YQpi?='],
    ['', '=?base64??='],
    ['=?base64?x?=', '=?base64?PT9iYXNlNjQ/eD89?='],
    [null, undefined],
    [{ b: 1 }, undefined],
  ])('%j is written %j', (a, header) => {
    expect(paramHeaders(property('A'), { a })).toEqual(header === undefined ? {} : { 'Mcp-Param-A': header });
  });

  it('are only those the schema names, by names a header may have', () => {
    expect(paramHeaders(property('A'), { b: 'x' })).toEqual({});
    expect(paramHeaders(property('A\r\nHost'), { a: 'x' })).toEqual({});
    expect(paramHeaders(undefined, { a: 'x' })).toEqual({});
    expect(paramHeaders({ properties: { toString: { 'x-mcp-header': 'A' } } }, {})).toEqual({});
  });
});

describe('a server that describes itself', () => {
  const document = (change: object) => ({ server: {}, protocolVersion: null, instructions: null, tools: [{ name: 'a' }], ...change });

  it('without name or version is named by its agent id', () => {
    expect(described(document({ server: { version: 'not a version!' } }), 'x')).toMatchObject({
      agent_id: 'x',
      name: 'x',
      version: '1.0.0',
    });
  });

  it('at length is cut, but not what was noted', () => {
    const { description } = described(document({ instructions: 'x'.repeat(9000), tools: [{ name: 'a' }, { name: '!' }] }), 'x');
    expect(description).toHaveLength(4000);
    expect(description).toMatch(/x \[left out for their names: "!"\]$/);
  });

  it.each([
    ['Math Server', 'http://h/mcp', 'math-server'],
    ['__Ünï__', 'http://h/mcp', 'n-__'],
    [undefined, 'http://Localhost:3000/a/mcp', 'mcp-localhost-3000-a-mcp'],
    ['health', 'http://h/mcp', 'mcp-h-mcp'],
  ])('as %j at %s gets the id %s', (name, url, id) => {
    expect(idFor(name, url)).toBe(id);
  });
});
