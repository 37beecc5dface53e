/**
 * A small Trace: takes the events and call trees that an orchestrator forwards, and shows them. Kept in memory, bounded; Node alone.
 *   node examples/trace-server/server.mjs        PORT=8787, HOST=127.0.0.1
 */
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const MAX_BODY = 64 * 1024 * 1024;
/** Events of all sessions together; beyond that the session written to longest ago is forgotten. */
const MAX_EVENTS = 200_000;

class Invalid extends Error {}

export function traceServer({ maxEvents = MAX_EVENTS, log = () => {} } = {}) {
  /** Name → {events, nodes}, the one written to last comes last. */
  const sessions = new Map();
  let stored = 0;
  let received = 0;

  const touch = (sid) => {
    const session = sessions.get(sid) ?? { created_at: new Date().toISOString(), events: [], nodes: new Map() };
    sessions.delete(sid);
    sessions.set(sid, session);
    return session;
  };
  const add = (sid, list, item) => {
    list.push(item);
    stored += 1;
    for (const [oldest, session] of sessions) {
      if (stored <= maxEvents || oldest === sid) break;
      sessions.delete(oldest);
      stored -= session.events.length;
      log(`more than ${maxEvents} events: session ${JSON.stringify(oldest)} is forgotten`);
    }
  };

  /** A Trace that means it: what was erased at the source goes here too. Of a whole session not even its name is kept. */
  const erase = (sid, { contracts, fields }) => {
    const session = sessions.get(sid);
    if (!session) return;
    if (!Array.isArray(contracts)) {
      sessions.delete(sid);
      stored -= session.events.length;
      return;
    }
    const names = { parameters: 'payload', result: 'result', error: 'error' };
    const gone = Array.isArray(fields) ? fields.flatMap((field) => names[field] ?? []) : Object.values(names);
    for (const { data } of session.events)
      if (contracts.includes(data.contract_id))
        for (const name of gone) if (name in data) Object.assign(data, { [name]: null, erased: true });
  };

  const routes = [
    [
      'GET',
      /^\/v1\/health$/,
      () => ({ status: 'healthy', service: 'trace-example', version: '1.0.0', timestamp: new Date().toISOString() }),
    ],
    [
      'GET',
      /^\/v1\/sessions$/,
      () => ({
        sessions: Array.from(sessions, ([session_id, { created_at, events, nodes }]) => ({
          session_id,
          created_at,
          events: events.length,
          nodes: nodes.size,
        })),
      }),
    ],
    ['GET', /^\/v1\/sessions\/([^/]+)\/events$/, (sid) => ({ session_id: sid, events: sessions.get(sid)?.events ?? [] })],
    [
      'POST',
      /^\/v1\/sessions\/([^/]+)\/events$/,
      (sid, { event_type, data }) => {
        if (typeof event_type !== 'string' || !isObject(data)) throw new Invalid('event_type must be text and data an object');
        if (event_type === 'payload.erased') erase(sid, data);
        if (event_type !== 'payload.erased' || sessions.has(sid))
          add(sid, touch(sid).events, { event_id: `evt_${++received}`, event_type, timestamp: new Date().toISOString(), data });
        return { status: 'ok', message: `Event added to session ${sid}`, event_type };
      },
    ],
    ['GET', /^\/v1\/sessions\/([^/]+)\/provenance$/, (sid) => ({ session_id: sid, nodes: [...(sessions.get(sid)?.nodes.values() ?? [])] })],
    [
      'POST',
      /^\/v1\/provenance\/node$/,
      (_, { session_id, node_id, parent_id = null, modifiers = {}, metadata = {} }) => {
        if (typeof session_id !== 'string' || typeof node_id !== 'string') throw new Invalid('session_id and node_id must be text');
        // The same node again, as at-least-once delivers it, is the same node.
        touch(session_id).nodes.set(node_id, { node_id, parent_id, modifiers, metadata, timestamp: new Date().toISOString() });
        return { status: 'ok', message: `Node ${node_id} added`, session_id };
      },
    ],
  ];

  const respond = async (request, response) => {
    const answer = (status, body, type = 'application/json') =>
      response.writeHead(status, { 'content-type': type }).end(type === 'application/json' ? JSON.stringify(body) : body);
    try {
      const [path] = request.url.split('?');
      const body = request.method === 'POST' ? await jsonBody(request) : undefined;
      if (request.method === 'GET' && path === '/') return answer(200, page(sessions), 'text/html; charset=utf-8');
      for (const [method, pattern, handle] of routes) {
        const match = pattern.exec(path);
        if (match && request.method === method) return answer(200, handle(match[1] && decodeURIComponent(match[1]), body));
      }
      return answer(404, { detail: 'Not Found' });
    } catch (error) {
      return answer(error instanceof Invalid || error instanceof URIError ? 422 : 500, { detail: error.message });
    }
  };
  return createServer((request, response) => void respond(request, response));
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

async function jsonBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY) throw new Invalid(`the body is larger than ${MAX_BODY} bytes`);
    chunks.push(chunk);
  }
  try {
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (isObject(body)) return body;
  } catch {
    // said below
  }
  throw new Invalid('the body must be a JSON object');
}

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.codePointAt(0)};`);

/** The newest sessions, each with its contracts as a tree; an event that came twice is counted once. */
function page(sessions) {
  const newest = [...sessions].slice(-20).reverse();
  const parts = newest.map(([sid, { events, nodes }]) => {
    const answers = new Map(events.filter((e) => e.event_type === 'contract.response').map((e) => [e.data.contract_id, e.data]));
    const children = grouped(nodes);
    const tree = (parent, depth) =>
      (children.get(parent) ?? [])
        .slice(0, 200)
        .map(({ node_id, metadata }) => {
          const { status = 'pending', error_code } = answers.get(node_id) ?? {};
          const what = `${metadata.capability ?? '?'} → ${metadata.agent_id ?? 'nobody'}: ${status}${error_code ? ` (${error_code})` : ''}`;
          return `<li>${escaped(what)} <small>${escaped(node_id)}</small>${depth < 50 ? tree(node_id, depth + 1) : ''}</li>`;
        })
        .join('')
        .replace(/^(.+)$/s, '<ul>$1</ul>');
    return `<h2>${escaped(sid)}</h2><p>${new Set(events.map((e) => e.data.event_id)).size} events</p>${tree(null, 0)}`;
  });
  return `<!doctype html><meta charset="utf-8"><title>Trace</title><body style="font:15px system-ui;margin:2rem"><h1>Trace</h1>${parts.join('')}`;
}

/** By parent; a node whose parent was never sent stands at the top. */
function grouped(nodes) {
  const groups = new Map();
  for (const node of nodes.values()) {
    const parent = nodes.has(node.parent_id) ? node.parent_id : null;
    if (groups.has(parent)) groups.get(parent).push(node);
    else groups.set(parent, [node]);
  }
  return groups;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { PORT = '8787', HOST = '127.0.0.1' } = process.env;
  const server = traceServer({ log: (line) => console.error(line) });
  server.listen(Number(PORT), HOST, () => console.log(`Trace listens on http://${HOST}:${server.address().port}`));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close(() => process.exit(0)).closeAllConnections());
}
