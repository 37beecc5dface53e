/**
 * A MemAgent to try things with:  node examples/memagent-server/server.mjs
 *
 * It speaks the HTTP interface of MemAgent, keeps what it is told in memory, within bounds, and forgets it when it stops. It asks no language
 * model, so `compress` has nothing to compress and says so. PORT and HOST choose where it listens.
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

const MAX_SESSIONS = 1000;
const MAX_NOTES = 2000;
const MAX_NOTE_CHARACTERS = 500;
const MAX_BODY_BYTES = 64 * 1024;

/** session_id → {memory_block_id, intent, notes, last_updated}, oldest first. */
const sessions = new Map();

const now = () => new Date().toISOString();

class Refusal {
  constructor(status, error, message) {
    Object.assign(this, { status, error, message });
  }
}

const refuse = (status, error, message) => {
  throw new Refusal(status, error, message);
};

function find(id) {
  return sessions.get(id) ?? refuse(404, 'SESSION_NOT_FOUND', `there is no session ${id}; POST /v1/session/init first`);
}

function init({ session_id, intent, created_by = 'user' }) {
  if (typeof session_id !== 'string' || !/^session_.+/.test(session_id))
    refuse(422, 'INVALID_SESSION_ID', 'session_id must start with session_');
  if (typeof intent !== 'string') refuse(422, 'INVALID_INTENT', 'intent must be a text');
  if (sessions.has(session_id)) refuse(409, 'SESSION_ALREADY_EXISTS', `session ${session_id} exists already`);
  if (sessions.size >= MAX_SESSIONS) sessions.delete(sessions.keys().next().value);
  const session = { memory_block_id: `mem_${ulid()}`, intent, created_by, notes: [], last_updated: now() };
  sessions.set(session_id, session);
  return [201, { status: 'ok', memory_block_id: session.memory_block_id, session_id }];
}

function note(id, { text }) {
  const session = find(id);
  if (typeof text !== 'string' || text.length < 1 || text.length > MAX_NOTE_CHARACTERS)
    refuse(422, 'INVALID_NOTE', `text must have 1 to ${MAX_NOTE_CHARACTERS} characters`);
  if (session.notes.length >= MAX_NOTES) session.notes.shift();
  session.notes.push(text);
  session.last_updated = now();
  return [200, { status: 'ok' }];
}

function memoryBlock(id) {
  const { memory_block_id, intent, notes, last_updated } = find(id);
  const unused = { summary: '', last_asset: null, active_modifiers: {}, pending_tasks: [], provenance_chain: [], event_count: 0 };
  return [
    200,
    { session_id: id, memory_block_id, last_updated, ...unused, design_dna: intent, user_notes: notes, compression_version: '1.0' },
  ];
}

function compress(id) {
  find(id);
  return [200, { status: 'ok', session_id: id, message: 'No events to compress', events_processed: 0 }];
}

function list(query) {
  const [limit, offset] = [Math.min(100, Number(query.get('limit') ?? 20)), Number(query.get('offset') ?? 0)];
  return [200, { sessions: [...sessions.keys()].slice(offset, offset + limit), total: sessions.size }];
}

function health() {
  return [
    200,
    { status: 'healthy', version: 'example', timestamp: now(), components: { storage: 'memory', trace: 'none', hf_model: 'none' } },
  ];
}

function remove(id) {
  find(id);
  sessions.delete(id);
  return [204, null];
}

const ROUTES = [
  ['GET', /^(?:\/v1)?\/health$/, () => health()],
  ['POST', /^\/v1\/session\/init$/, (_, body) => init(body)],
  ['GET', /^\/v1\/session\/list$/, (_id, _body, query) => list(query)],
  ['POST', /^\/v1\/session\/([^/]+)\/note$/, (id, body) => note(id, body)],
  ['POST', /^\/v1\/session\/([^/]+)\/compress$/, (id) => compress(id)],
  ['GET', /^\/v1\/session\/([^/]+)\/memory-block$/, (id) => memoryBlock(id)],
  ['DELETE', /^\/v1\/session\/([^/]+)$/, (id) => remove(id)],
];

function answer(method, url, body) {
  for (const [its, path, handle] of ROUTES) {
    const match = its === method && path.exec(url.pathname);
    if (match) return handle(decodeURIComponent(match[1] ?? ''), body, url.searchParams);
  }
  return refuse(404, 'NOT_FOUND', `there is no ${method} ${url.pathname} here`);
}

async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) refuse(413, 'TOO_LARGE', `a body has at most ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) ?? {};
  } catch {
    return refuse(422, 'INVALID_JSON', 'the body is not JSON');
  }
}

/** 48 bits of time, 80 of chance. */
function ulid() {
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  const bits = (BigInt(Date.now()) << 80n) | BigInt(`0x${randomBytes(10).toString('hex')}`);
  return Array.from({ length: 26 }, (_, i) => digits[Number((bits >> BigInt(5 * (25 - i))) & 31n)]).join('');
}

async function handle(request, response) {
  const send = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body === null ? undefined : JSON.stringify(body));
  };
  try {
    const body = await read(request);
    send(...answer(request.method, new URL(request.url, 'http://localhost'), body));
  } catch (error) {
    const { status = 500, error: code = 'INTERNAL', message } = error instanceof Refusal ? error : {};
    send(status, { error: code, message: message ?? 'something went wrong', timestamp: now() });
  }
}

const server = createServer((request, response) => void handle(request, response));

server.listen(Number(process.env.PORT ?? 8799), process.env.HOST ?? '127.0.0.1', () => {
  const { address, port } = server.address();
  console.log(`MemAgent example listens on http://${address.includes(':') ? `[${address}]` : address}:${port}`);
});
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
