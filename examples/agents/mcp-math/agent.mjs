// A math agent as an MCP server. Over HTTP: node agent.mjs (PORT=… for another port). Over standard streams: node agent.mjs --stdio.
import { createServer } from 'node:http';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

const number = { type: 'number' };
const operands = { type: 'object', properties: { a: number, b: number }, required: ['a', 'b'], additionalProperties: false };
const result = { type: 'object', properties: { result: number }, required: ['result'] };

const operations = {
  add: ['Adds two numbers', (a, b) => a + b],
  multiply: ['Multiplies two numbers', (a, b) => a * b],
  divide: ['Divides a by b', (a, b) => a / b],
};

/** The same server for both eras of the protocol. */
function mathServer() {
  const server = new McpServer(
    { name: 'mcp-math', title: 'Math over MCP', version: '1.0.0' },
    { instructions: 'Arithmetic with two numbers.' },
  );
  for (const [name, [description, operate]] of Object.entries(operations)) {
    server.registerTool(name, { description, inputSchema: fromJsonSchema(operands), outputSchema: fromJsonSchema(result) }, ({ a, b }) => {
      const value = operate(a, b);
      if (!Number.isFinite(value)) return { content: [{ type: 'text', text: `${a} and ${b} have no ${name} result` }], isError: true };
      const structuredContent = { result: value };
      return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent };
    });
  }
  return server;
}

if (process.argv.includes('--stdio')) serveStdio(mathServer);
else {
  const handle = toNodeHandler(createMcpHandler(mathServer));
  const [hostAllowed, originAllowed] = [localhostHostValidation(), localhostOriginValidation()];
  const server = createServer((request, response) => {
    if (request.url !== '/mcp') response.writeHead(404).end();
    else if (hostAllowed(request, response) && originAllowed(request, response)) void handle(request, response);
  });
  server.listen(Number(process.env.PORT ?? 9104), '127.0.0.1', () => console.log(`MCP at http://127.0.0.1:${server.address().port}/mcp`));
}
