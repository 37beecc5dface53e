import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentCard, generateAgentCardSignature } from '@a2a-js/sdk';
import { exportJWK, generateKeyPair } from 'jose';
import { AgentDescription } from '../../../src/agents/agent.js';
import { Stop } from '../../../src/agents/agent-client.js';
import type { Discovery } from '../../../src/agents/agent-protocol.js';
import { A2aProtocol } from '../../../src/integration/agents/a2a/a2a-protocol.client.js';
import { addressOf, readCard } from '../../../src/integration/agents/a2a/card.js';
import { capabilityNames, describe as described, SCHEMAS_EXTENSION } from '../../../src/integration/agents/a2a/description.js';
import { question } from '../../../src/integration/agents/a2a/question.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import type { JsonValue } from '../../../src/kernel/json.js';
import { type Json, startA2aPeer } from '../../support/a2a-peer.js';

const outgoing = new Outgoing(['loopback']);
const protocol = new A2aProtocol(outgoing);
const closing: (() => Promise<unknown>)[] = [() => outgoing.close()];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

const skill = (id: string, more: Json = {}): Json => ({ id, name: id, description: `Does ${id}`, tags: ['t'], ...more });
const card10 = (more: Json = {}): Json => ({
  name: 'Math Agent',
  description: 'Calculates',
  version: '1.2.0',
  capabilities: {},
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [skill('add')],
  supportedInterfaces: [{ url: 'https://math.example/a2a', protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
  ...more,
});
const card03 = (more: Json = {}): Json => {
  const { supportedInterfaces: _, ...shared } = card10();
  return { ...shared, protocolVersion: '0.3.0', url: 'https://math.example/', ...more };
};

type Serve = (request: IncomingMessage, response: ServerResponse, origin: string) => void;
async function serve(handle: Serve): Promise<string> {
  const server = createServer((request, response) => handle(request, response, `http://${request.headers.host}`));
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  closing.push(() => new Promise((done) => void server.close(done).closeAllConnections()));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const json = (response: ServerResponse, body: unknown, headers: Record<string, string> = {}) =>
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
/** Serves the card at this path and nothing else. */
const at =
  (path: string, card: JsonValue): Serve =>
  (request, response) =>
    request.url === path ? json(response, card) : response.writeHead(404).end();
const WELL_KNOWN = '/.well-known/agent-card.json';

async function discovered(url: string, etag?: string) {
  const found = await protocol.discover(url, { stop: new Stop(), ...(etag && { etag }) });
  if (found === null || found === 'unchanged') throw new Error(`found ${found}`);
  return found as Discovery & { agents: [Discovery['agents'][number]] };
}

describe('an agent card', () => {
  it.each([
    ['1.0', 'JSONRPC'],
    ['0.3', 'HTTP+JSON'],
  ] as const)('of %s, as its SDK serves it, becomes a description, kept byte for byte', async (line, binding) => {
    const peer = await startA2aPeer({ line, binding, streaming: true, skills: { echo: () => undefined } });
    closing.push(() => peer.close());
    const { agents } = await discovered(peer.url);
    expect(agents[0]).toMatchObject({ endpoint: peer.url, signature: 'unsigned', document: { media_type: 'application/json' } });
    expect(agents[0].description).toMatchObject({
      agent_id: 'test-agent',
      name: 'Test agent',
      version: '2.1.0',
      capabilities: [{ name: 'echo', description: 'Does echo', tags: ['test'] }],
    });
    const served = Buffer.from(await (await fetch(peer.url + WELL_KNOWN, { headers: { 'a2a-version': '1.0' } })).arrayBuffer());
    expect(agents[0].document.bytes.equals(served)).toBe(true);
  });

  it('is not sent again while it is the same', async () => {
    const peer = await startA2aPeer({ line: '1.0', binding: 'JSONRPC', streaming: true, skills: { echo: () => undefined } });
    closing.push(() => peer.close());
    const { etag } = await discovered(peer.url);
    expect(etag).toEqual(expect.any(String));
    expect(await protocol.discover(peer.url, { stop: new Stop(), etag: etag! })).toBe('unchanged');
  });

  it.each([
    ['under the address', '/agents/math', `/agents/math${WELL_KNOWN}`, '/agents/math'],
    ['where A2A had it before', '', '/.well-known/agent.json', ''],
    ['at its own address', '/cards/math.json', '/cards/math.json', '/cards/math.json'],
    ['at the origin of an address that it names', '/a2a', WELL_KNOWN, ''],
  ])('is found %s', async (_where, asked, path, home) => {
    const url = await serve(at(path, card10({ supportedInterfaces: [{ url: 'http://localhost/a2a', protocolBinding: 'JSONRPC' }] })));
    expect((await discovered(url + asked)).agents[0].endpoint).toBe(url + home);
  });

  it('at the origin of an address that it does not name is of somebody else', async () => {
    const url = await serve(at(WELL_KNOWN, card10()));
    expect(await protocol.discover(`${url}/other`, { stop: new Stop() })).toBeNull();
  });

  it('is not there: nobody speaks A2A', async () => {
    expect(await protocol.discover(await serve((_request, response) => response.writeHead(404).end()), { stop: new Stop() })).toBeNull();
    const page: Serve = (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>');
    expect(await protocol.discover(await serve(page), { stop: new Stop() })).toBeNull();
  });

  it.each<[string, Serve, string, RegExp]>([
    ['has 50 MB', (_q, r) => flood(r, 50), 'agent_not_understood', /more than 1048576 bytes/],
    [
      'has 10 000 skills',
      (_q, r) =>
        json(
          r,
          card10({
            skills: Array(10_000)
              .fill(0)
              .map((_, i) => ({ id: `${i}` })),
          }),
        ),
      'agent_not_understood',
      /10000 skills, at most 500/,
    ],
    ['has no skill', (_q, r) => json(r, card10({ skills: [] })), 'agent_not_understood', /no skill/],
    [
      'is no JSON',
      (_q, r) => void r.writeHead(200, { 'content-type': 'application/json' }).end('{"name":'),
      'agent_not_understood',
      /JSON/,
    ],
    [
      'is nested too deep',
      (_q, r) => void r.writeHead(200, { 'content-type': 'application/json' }).end(`${'['.repeat(99)}${']'.repeat(99)}`),
      'agent_not_understood',
      /64 levels|deep/,
    ],
    ['is a list', (_q, r) => json(r, [1]), 'agent_not_understood', /the card/],
    [
      'is served as text',
      (_q, r) => void r.writeHead(200, { 'content-type': 'text/plain' }).end(JSON.stringify(card10())),
      'agent_not_understood',
      /served as text\/plain/,
    ],
    [
      'is only for gRPC',
      (_q, r) => json(r, card10({ supportedInterfaces: [{ url: 'x:50051', protocolBinding: 'GRPC', protocolVersion: '1.0' }] })),
      'agent_not_understood',
      /GRPC 1.0 at x:50051/,
    ],
    ['cannot be had just now', (_q, r) => void r.writeHead(503).end(), 'agent_unreachable', /503/],
    ['is elsewhere', (_q, r) => void r.writeHead(301, { location: 'http://elsewhere.example/' }).end(), 'address_refused', /redirects/],
    [
      'breaks off',
      (_q, r) => void r.writeHead(200, { 'content-type': 'application/json', 'content-length': '99' }).write('{', () => r.destroy()),
      'agent_unreachable',
      /failed/,
    ],
  ])('that %s is refused with the reason', async (_what, handle, code, message) => {
    await expect(protocol.discover(await serve(handle), { stop: new Stop() })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it('that never comes is waited for until the stop', async () => {
    const url = await serve(() => undefined);
    const stop = new Stop();
    const found = protocol.discover(url, { stop });
    setTimeout(() => stop.stop(new Error('enough')), 100);
    const from = performance.now();
    await expect(found).rejects.toMatchObject({ code: 'agent_unreachable' });
    expect(performance.now() - from).toBeLessThan(4500); // without it, five seconds
  });
});

describe('the address an agent is called at', () => {
  const address = (card: Json, home = 'https://math.example') => addressOf(readCard(card), home);
  const offer = (url: string, protocolBinding = 'JSONRPC', protocolVersion = '1.0') => ({ url, protocolBinding, protocolVersion });

  it.each([
    ['http://localhost:8002', 'http://math.example:9000', 'http://math.example:9000/'],
    ['http://127.0.0.1:8002/a2a', 'https://gateway.example/agents/math', 'https://gateway.example/agents/math/a2a'],
    ['http://[::1]:8002/agents/math/a2a', 'https://gateway.example/agents/math', 'https://gateway.example/agents/math/a2a'],
    ['http://0.0.0.0:8002/a2a', 'https://gateway.example/cards/math.json', 'https://gateway.example/cards/a2a'],
  ])('is where the card was fetched, not %s', (named, home, called) => {
    expect(address(card03({ url: named }), home).url).toBe(called);
  });

  it('may be of another origin, but one of the card comes first, then 1.0, then as the card prefers', () => {
    const others = [offer('https://a.example/x'), offer('https://b.example/x')];
    expect(address(card10({ supportedInterfaces: others })).url).toBe('https://a.example/x');
    const own = [...others, offer('https://math.example/old', 'JSONRPC', '0.3'), offer('https://math.example/rest', 'HTTP+JSON')];
    expect(address(card10({ supportedInterfaces: own }))).toEqual({
      url: 'https://math.example/rest',
      protocolBinding: 'HTTP+JSON',
      protocolVersion: '1.0',
      tenant: '',
    });
  });

  it('is that of a version and binding we speak', () => {
    const offered = [
      offer('https://math.example/2', 'JSONRPC', '2.0'),
      offer('math.example:1', 'GRPC'),
      offer('https://math.example/r', 'http+json', '0.3.0'),
    ];
    expect(address(card10({ supportedInterfaces: offered }))).toMatchObject({ protocolBinding: 'HTTP+JSON', protocolVersion: '0.3' });
    expect(() => address(card10({ supportedInterfaces: [offer('file:///etc/passwd'), offer('https://u:p@math.example/')] }))).toThrow(
      /none of its interfaces/,
    );
  });
});

describe('the description of an agent', () => {
  const of = (more: Json) => described(readCard(card10(more)));

  it('has names that fit, each once', () => {
    expect(capabilityNames([{ id: 'Add two!' }, { id: 'Add-two' }, { id: 'Add two?' }, { id: '🪐' }, { id: '_x' }])).toEqual([
      'Add-two',
      'Add-two-2',
      'Add-two-3',
      'skill-4',
      'x',
    ]);
    const description = of({ name: 'Ünsere Rechnerin!', version: '1.0 beta', skills: [skill('Add two!', { name: 'Addition' })] });
    expect(description).toMatchObject({ agent_id: 'nsere-rechnerin', name: 'Ünsere Rechnerin!', version: '1.0-beta' });
    expect(description.capabilities[0]).toMatchObject({ name: 'Add-two', description: 'Addition: Does Add two! (A2A skill "Add two!")' });
    expect([of({ name: 'health' }).agent_id, of({ name: '数学' }).agent_id]).toEqual(['a2a-health', 'a2a-agent']);
  });

  it('has the schemas of our extension, then those of the skill itself', () => {
    const schema = { type: 'object', properties: { a: { type: 'number' } }, 'x-unknown': [1] };
    const params = { skills: { add: { inputSchema: schema, outputSchema: { type: 'number' } } } };
    const skills = [skill('add', { inputSchema: { type: 'string' } }), skill('sub', { inputSchema: schema, outputSchema: null })];
    const { capabilities } = of({ skills, capabilities: { extensions: [{ uri: 'urn:other' }, { uri: SCHEMAS_EXTENSION, params }] } });
    expect(capabilities[0]).toMatchObject({ input_schema: schema, output_schema: { type: 'number' } });
    expect(capabilities[1]).toMatchObject({ input_schema: schema });
    expect(capabilities[1]).not.toHaveProperty('output_schema');
  });

  it.each<[string, JsonValue, RegExp]>([
    ['leads nowhere', { $ref: 'https://evil.example/schema' }, /leads nowhere/],
    ['is no schema', { type: 'colour' }, /no JSON Schema/],
    ['is no object', 'string', /no object/],
    ['is too large', { type: 'object', description: 'x'.repeat(70_000) }, /bytes/],
  ])('goes without a schema that %s, and says so', (_what, inputSchema, why) => {
    const [capability] = of({ skills: [skill('add', { inputSchema })] }).capabilities;
    expect(capability).not.toHaveProperty('input_schema');
    expect(capability!.description).toMatch(/^Does add \(Its input schema is not used: /);
    expect(capability!.description).toMatch(why);
  });

  it('compiles the schemas of a card as far as they are not too much together, and says so of the others', () => {
    const inputSchema = { type: 'object', description: 'x'.repeat(60_000) };
    const { capabilities } = of({ skills: Array.from({ length: 4 }, (_, i) => skill(`s${i}`, { inputSchema })) });
    expect(capabilities.map((capability) => 'input_schema' in capability)).toEqual([true, true, false, false]);
    expect(capabilities[2]!.description).toMatch(/Its input schema is not used: with the schemas before it there is too much to compile/);
  });

  it('stays within its own bounds', () => {
    const long = 'x'.repeat(10_000);
    const many = Array<string>(200).fill(long);
    const description = of({
      name: long,
      description: long,
      version: long,
      skills: [skill('add', { name: long, description: long, tags: many, examples: many })],
    });
    expect(AgentDescription.safeParse(description).success).toBe(true);
  });
});

describe('a question', () => {
  const part = (parameters: Json, hasSchema: boolean, inputModes: string[]) => {
    const task = { task_id: '01K', capability: 'add', parameters, context: {} };
    return (question(task, { skill: 'add', hasSchema, inputModes }, {}) as { parts: Json[] }).parts;
  };
  const data = (parameters: Json) => [{ data: parameters, mediaType: 'application/json' }];

  it('is data for a skill with a schema or one that takes no text', () => {
    expect(part({ text: 'hi' }, true, ['text/plain'])).toEqual(data({ text: 'hi' }));
    expect(part({ text: 'hi' }, false, ['application/json'])).toEqual(data({ text: 'hi' }));
  });
  it('is text where the one parameter is', () => {
    expect(part({ query: '2 + 2' }, false, ['text', 'application/json'])).toEqual([{ text: '2 + 2' }]);
    expect(part({ query: '2 + 2' }, false, [])).toEqual([{ text: '2 + 2' }]);
  });
  it('is otherwise data for a skill that takes JSON, and JSON text for one that does not', () => {
    expect(part({ a: 1, b: 2 }, false, ['text/plain', 'application/json'])).toEqual(data({ a: 1, b: 2 }));
    expect(part({ a: 1, b: 2 }, false, ['text/plain'])).toEqual([{ text: '{"a":1,"b":2}' }]);
    expect(part({}, false, [])).toEqual([{ text: '{}' }]);
  });
  it('carries the contract, the skill, the context and the conversation', () => {
    const task = { task_id: '01K', capability: 'add', parameters: { a: 'x' }, context: { history: [] } };
    expect(question(task, { skill: 'Add two!', hasSchema: false, inputModes: [] }, { contextId: 'c', taskId: 't' })).toEqual({
      messageId: '01K',
      role: 'ROLE_USER',
      parts: [{ text: 'x' }],
      metadata: { skill: 'Add two!', context: { history: [] } },
      contextId: 'c',
      taskId: 't',
    });
  });
});

describe('a signed card', () => {
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;
  beforeAll(async () => {
    keys = await generateKeyPair('ES256');
  });
  const foreign = { inputSchema: { type: 'object' } };

  /** Signed by the SDK with our key; `change` is done to the card after that, `jku` names where its key is. */
  async function signed(
    change: (card: Json) => Json,
    jku: (origin: string) => string = (origin) => `${origin}/keys.json`,
  ): Promise<string> {
    return serve((request, response, origin) => {
      void (async () => {
        if (request.url === '/keys.json')
          return json(response, { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k1', alg: 'ES256' }] });
        if (request.url !== WELL_KNOWN) return response.writeHead(404).end();
        const header = { alg: 'ES256', kid: 'k1', typ: 'JOSE', jku: jku(origin) };
        const card = await generateAgentCardSignature(keys.privateKey, header)(AgentCard.fromJSON(card10()));
        json(response, change(AgentCard.toJSON(card) as Json));
      })();
    });
  }

  it('is valid by the key its own origin publishes', async () => {
    const { agents } = await discovered(await signed((card) => card));
    expect(agents[0]).toMatchObject({ signature: 'valid', description: { name: 'Math Agent' } });
  });

  it('is refused if it was changed after it was signed', async () => {
    const url = await signed((card) => ({ ...card, description: 'Calculates for free' }));
    await expect(discovered(url)).rejects.toMatchObject({
      code: 'agent_not_understood',
      message: expect.stringContaining('signature is invalid'),
    });
  });

  it('is read only as far as it is signed', async () => {
    const url = await signed((card) => ({ ...card, skills: [{ ...(card['skills'] as Json[])[0], ...foreign }] }));
    const { agents } = await discovered(url);
    expect(agents[0].signature).toBe('valid');
    expect(agents[0].description.capabilities[0]).not.toHaveProperty('input_schema');
  });

  it.each([
    ['of another origin', () => 'https://keys.example/keys.json'],
    ['that nobody publishes', (origin: string) => `${origin}/missing.json`],
  ])('by a key %s proves nothing: it is as good as unsigned', async (_what, jku) => {
    expect((await discovered(await signed((card) => card, jku))).agents[0].signature).toBe('unsigned');
  });

  it('is refused if it names no key that is published, or is no signature at all', async () => {
    const url = await serve((request, response, origin) => {
      if (request.url === '/keys.json') return json(response, { keys: [] });
      const header = { alg: 'none', kid: 'k1', typ: 'JOSE', jku: `${origin}/keys.json` };
      const signatures = [{ protected: Buffer.from(JSON.stringify(header)).toString('base64url'), signature: '' }];
      json(response, card10({ signatures }));
    });
    await expect(discovered(url)).rejects.toMatchObject({ code: 'agent_not_understood' });
    await expect(discovered(await serve((_q, r) => json(r, card10({ signatures: 'trust me' }))))).rejects.toMatchObject({
      code: 'agent_not_understood',
    });
  });
});

/** As many megabytes as the other side takes. */
function flood(response: ServerResponse, megabytes: number): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const chunk = Buffer.alloc(1024 * 1024, ' ');
  const more = (left: number): void => {
    if (left === 0 || response.destroyed) return void response.end();
    response.write(chunk, () => more(left - 1));
  };
  more(megabytes);
}
