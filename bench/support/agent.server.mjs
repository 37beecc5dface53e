/** The agent every variant calls: answers POST /execute at once, and GET /health, which the orchestrator asks for now and then. */
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  if (request.method === 'GET') return void response.end('{"status":"healthy"}');
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const task = JSON.parse(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
    const body = JSON.stringify({ success: true, data: { message: `Echo: ${task.parameters.text}`, length: task.parameters.text.length } });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  });
});
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));
