import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import request from 'supertest';
import { readConfig } from '../../src/config.js';
import { running } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';

const SECRET = 'a secret of more than thirty-two bytes, for these tests';
const ISSUER = 'https://issuer.example';
const ALL = 'orchestrate contracts:read agents:write audit';

type Claims = Record<string, unknown>;

/** A token that is let in, unless `claims` say otherwise; a claim that is undefined is left out. */
function token(claims: Claims = {}, secret = SECRET, alg = 'HS256'): Promise<string> {
  const hour = Math.floor(Date.now() / 1000) + 3600;
  const all = { sub: 'alice', scope: ALL, iss: ISSUER, aud: 'orchestrator', exp: hour, ...claims };
  return new SignJWT(JSON.parse(JSON.stringify(all)) as Claims).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret));
}

const bearer = async (claims: Claims = {}) => ({ authorization: `Bearer ${await token(claims)}` });
const TASK = { capability: 'echo', parameters: { text: 'hello' } };

describeEachPlace('with REQUIRE_AUTH=true and a shared secret', (make) => {
  const app = running(make, async () => ({
    REQUIRE_AUTH: 'true',
    JWT_SECRET: SECRET,
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: 'orchestrator',
    HOST: '127.0.0.1',
  }));
  const get = async (path: string, claims: Claims = {}) => app.get(path).set(await bearer(claims));

  it('a caller with a token works as before, and is recorded as its subject, in payload only', async () => {
    const answer = await app.orchestrate({ session_id: 'recorded', ...TASK }, await bearer({ sub: 'user-4711' }));
    expect(answer).toMatchObject({ success: true, data: { message: 'Echo: hello' } });
    const { body } = await get(`/v1/contracts/${answer.contract_id}`);
    expect(body.request.metadata.principal).toBe('user-4711');
    const rows = await app.db.query<{ record: Buffer }>('SELECT record FROM event');
    expect(rows.filter(({ record }) => record.includes('user-4711'))).toEqual([]);
  });

  it.each<[string, () => Promise<string | undefined>, RegExp]>([
    ['no token', async () => undefined, /send a token/],
    ['another scheme', async () => 'Basic YWxpY2U6c2VjcmV0', /must read: Bearer/],
    ['two tokens', async () => `Bearer ${await token()} ${await token()}`, /must read: Bearer/],
    ['not a JWT', async () => 'Bearer hello', /not a well-formed JWT/],
    ['one that expired', async () => `Bearer ${await token({ exp: 1_700_000_000 })}`, /has expired/],
    ['one that never expires', async () => `Bearer ${await token({ exp: undefined })}`, /has no exp/],
    ['one without a subject', async () => `Bearer ${await token({ sub: undefined })}`, /has no sub/],
    ['an empty subject', async () => `Bearer ${await token({ sub: '' })}`, /empty sub/],
    ['one from another issuer', async () => `Bearer ${await token({ iss: 'https://other.example' })}`, /its iss is another/],
    ['one for another audience', async () => `Bearer ${await token({ aud: 'somebody-else' })}`, /its aud is another/],
    ['one that is not valid yet', async () => `Bearer ${await token({ nbf: 4_000_000_000 })}`, /not valid yet/],
    ['one signed with another secret', async () => `Bearer ${await token({}, `${SECRET}!`)}`, /signature that does not fit/],
    ['another algorithm', async () => `Bearer ${await token({}, SECRET.repeat(2), 'HS512')}`, /algorithm that is not accepted/],
    ['no signature at all', async () => `Bearer ${new UnsecuredJWT({ sub: 'alice' }).setExpirationTime('1h').encode()}`, /./],
    ['a tenant that is no name', async () => `Bearer ${await token({ tenant: 'A/../b' })}`, /tenant that is not/],
  ])('%s is 401 with the reason, and nothing is recorded', async (_, authorization, reason) => {
    const header = await authorization();
    const count = async () => (await app.db.query<{ n: number }>('SELECT count(*) AS n FROM event'))[0]!.n;
    const before = await count();
    const response = await app.post('/v1/orchestrate', { session_id: 'refused', ...TASK }, header ? { authorization: header } : {});
    expect(response.status).toBe(401);
    expect(response.headers['content-type']).toMatch('application/problem+json');
    expect(response.headers['www-authenticate']).toMatch(/^Bearer realm="agent-orchestrator"/);
    expect(response.body).toMatchObject({ status: 401, code: 'unauthorized', detail: expect.stringMatching(reason) });
    expect(await count()).toBe(before);
  });

  it.each([
    ['post', '/v1/orchestrate', 'orchestrate'],
    ['post', '/v1/sessions/some/close', 'orchestrate'],
    ['get', '/v1/contracts', 'contracts:read'],
    ['get', '/v1/contracts/01ARZ3NDEKTSV4RRFFQ69G5FAV', 'contracts:read'],
    ['get', '/v1/agents', 'contracts:read'],
    ['get', '/v1/status', 'contracts:read'],
    ['post', '/v1/verify', 'audit'],
    ['post', '/v1/export', 'audit'],
    ['post', '/v1/agents', 'agents:write'],
    ['post', '/v1/agents/refresh', 'agents:write'],
    ['post', '/v1/agents/nobody/stop', 'agents:write'],
    ['put', '/v1/agents/nobody', 'agents:write'],
    ['delete', '/v1/agents/nobody', 'agents:write'],
  ] as const)('%s %s needs the scope %s', async (method, path, scope) => {
    const others = ALL.split(' ').filter((s) => s !== scope);
    const ask = async (scopes: string[]) =>
      request(app.server.url)
        [method](path)
        .set(await bearer({ scope: scopes.join(' ') }));
    const refused = await ask(others);
    expect(refused.status).toBe(403);
    expect(refused.headers['www-authenticate']).toContain(`error="insufficient_scope", scope="${scope}"`);
    expect(refused.body).toMatchObject({ code: 'forbidden', detail: expect.stringContaining(`scope ${scope}; it has`) });
    expect([401, 403]).not.toContain((await ask([scope])).status);
  });

  it('an agent belongs to who registered it, and may be stopped and retired by his tenant; its owner is named in payload only', async () => {
    const alice = { sub: 'alice-4712', tenant: 'red' };
    const described = { agent_id: 'owned', name: 'Owned', endpoint: 'http://127.0.0.1:9999', capabilities: [{ name: 'owned' }] };
    const ask = async (method: 'post' | 'put' | 'delete', path: string, claims: Claims, body?: object) => {
      const response = await request(app.server.url)
        [method](path)
        .set(await bearer(claims))
        .send(body);
      return [response.status, response.body.code];
    };
    expect(await ask('post', '/v1/agents', alice, described)).toEqual([200, undefined]);
    expect(await ask('post', '/v1/agents', { ...alice, sub: 'bob' }, described)).toEqual([409, 'agent_conflict']);
    expect(await ask('post', '/v1/agents', { ...alice, tenant: 'blue' }, described)).toEqual([409, 'agent_conflict']);
    expect(await ask('put', '/v1/agents/owned', { tenant: 'blue' }, described)).toEqual([409, 'agent_conflict']);
    for (const path of ['stop', 'start', 'heartbeat']) {
      expect(await ask('post', `/v1/agents/owned/${path}`, { tenant: 'blue' }, {})).toEqual([403, 'forbidden']);
    }
    expect(await ask('delete', '/v1/agents/owned', { tenant: 'blue' })).toEqual([403, 'forbidden']);
    expect(await ask('post', '/v1/agents/owned/stop', { ...alice, sub: 'bob' }, {})).toEqual([200, undefined]);
    expect(await ask('delete', '/v1/agents/owned', { ...alice, sub: 'bob' })).toEqual([200, undefined]);
    const rows = await app.db.query<{ record: Buffer }>(`SELECT record FROM event WHERE stream = 'default/agent/owned'`);
    expect([rows.length, rows.filter(({ record }) => record.includes('alice-4712'))]).toEqual([3, []]);
  });

  it('scopes may come as a list in scp as well', async () => {
    expect((await get('/v1/contracts', { scope: undefined, scp: ['contracts:read'] })).status).toBe(200);
  });

  it('health is open to all', async () => {
    expect((await app.get('/v1/health')).status).toBe(200);
  });

  it('sessions and contracts of another tenant are not found, and his names are free', async () => {
    const red = { tenant: 'red' };
    const blue = { tenant: 'blue' };
    const ours = await app.orchestrate({ session_id: 'same name', ...TASK }, await bearer(red));
    const theirs = await app.orchestrate({ session_id: 'same name', ...TASK }, await bearer(blue));
    expect(ours.receipt.stream).toMatch(/^red\/session\//);
    expect(theirs.receipt.stream).toMatch(/^blue\/session\//);

    expect((await get(`/v1/contracts/${ours.contract_id}`, blue)).status).toBe(404);
    expect((await get(`/v1/contracts/${ours.contract_id}`, red)).status).toBe(200);
    expect((await get('/v1/contracts?session_id=same%20name', blue)).body.contracts).toHaveLength(2);
    const seen = (await get('/v1/contracts?session_id=same%20name', blue)).body.contracts as { contract_id: string }[];
    expect(seen.map((c) => c.contract_id)).not.toContain(ours.contract_id);
    expect((await app.post('/v1/sessions/same%20name/close', {}, await bearer({ tenant: 'green' }))).status).toBe(404);
    expect((await app.post('/v1/sessions/same%20name/close', {}, await bearer(blue))).status).toBe(200);
    expect((await app.orchestrate({ session_id: 'same name', ...TASK }, await bearer(red))).success).toBe(true);
    expect((await get('/v1/status', { tenant: 'green' })).body.contracts).toMatchObject({ total_contracts: 0 });
  });

  it('the same Idempotency-Key of two principals is two keys', async () => {
    const ask = async (sub: string) =>
      app.orchestrate({ session_id: `key of ${sub}`, ...TASK }, { ...(await bearer({ sub })), 'idempotency-key': 'k' });
    expect((await ask('alice')).contract_id).not.toBe((await ask('bob')).contract_id);
    expect((await ask('alice')).contract_id).toBe((await ask('alice')).contract_id);
  });
});

describeEachPlace('with REQUIRE_AUTH=true and the keys of an issuer', (make) => {
  let issuer: HttpServer;
  let url: string;
  let keys: object[] = [];
  let down = false;
  beforeAll(async () => {
    issuer = createServer((asked, response) => {
      if (down) return void response.socket!.destroy();
      const known = { '/.well-known/oauth-authorization-server': { issuer: url, jwks_uri: `${url}/keys` }, '/keys': { keys } };
      const document = known[asked.url as keyof typeof known];
      return void response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(document ?? {}));
    });
    await new Promise<void>((listening) => issuer.listen(0, '127.0.0.1', listening));
    url = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((closed) => issuer.close(closed)));

  const app = running(make, async () => ({
    REQUIRE_AUTH: 'true',
    JWT_ISSUER: url,
    JWT_AUDIENCE: 'orchestrator',
    HOST: '127.0.0.1',
  }));

  async function key(kid: string, alg = 'ES256') {
    const pair = await generateKeyPair(alg, { extractable: true });
    return { kid, alg, private: pair.privateKey, public: { ...(await exportJWK(pair.publicKey)), kid, alg, use: 'sig' } };
  }
  const signed = ({ kid, alg, private: secret }: Awaited<ReturnType<typeof key>>, claims: Claims = {}) =>
    new SignJWT({ sub: 'alice', scope: ALL, ...claims })
      .setProtectedHeader({ alg, kid })
      .setIssuer(url)
      .setAudience('orchestrator')
      .setExpirationTime('1h')
      .sign(secret);
  const ask = async (jwt: string) => app.get('/v1/contracts').set({ authorization: `Bearer ${jwt}` });

  it('a token is 503 while the keys cannot be had, and let in as soon as they can', async () => {
    const first = await key('first');
    keys = [first.public];
    down = true;
    const refused = await ask(await signed(first));
    expect([refused.status, refused.body.code, refused.headers['retry-after']]).toEqual([503, 'issuer_unavailable', '5']);
    down = false;
    expect((await ask(await signed(first))).status).toBe(200);
    expect((await ask(await signed({ ...(await key('x')), kid: 'first' }))).body.detail).toMatch(/signature that does not fit/);
    down = true;
    expect((await ask(await signed(first))).status).toBe(200); // kept
    down = false;
  });

  it('a public key does not pass as a shared secret', async () => {
    const published = JSON.stringify(keys[0]);
    const forged = await new SignJWT({ sub: 'mallory', scope: ALL })
      .setProtectedHeader({ alg: 'HS256', kid: 'first' })
      .setIssuer(url)
      .setAudience('orchestrator')
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(published));
    expect((await ask(forged)).body).toMatchObject({ status: 401, detail: expect.stringMatching(/algorithm that is not accepted/) });
  });

  it('a key nobody published is 401', async () => {
    expect((await ask(await signed(await key('unknown', 'RS256')))).body).toMatchObject({
      status: 401,
      detail: expect.stringMatching(/a key its issuer does not publish/),
    });
  });
});

describe('the settings of authentication', () => {
  it.each<[Record<string, string>, RegExp]>([
    [{ REQUIRE_AUTH: 'yes' }, /REQUIRE_AUTH=yes: must be true or false/],
    [{ REQUIRE_AUTH: 'true' }, /needs JWT_SECRET, or JWT_ISSUER and JWT_AUDIENCE/],
    [{ REQUIRE_AUTH: 'true', JWT_ISSUER: 'https://issuer.example' }, /needs JWT_SECRET, or JWT_ISSUER and JWT_AUDIENCE/],
    [{ REQUIRE_AUTH: 'true', JWT_SECRET: 'too short, 31 bytes at the most' }, /at least 32 bytes/],
    [{ REQUIRE_AUTH: 'true', JWT_ISSUER: 'http://issuer.example', JWT_AUDIENCE: 'us' }, /must be an https URL/],
    [{ REQUIRE_AUTH: 'true', JWT_SECRET: SECRET, JWT_JWKS_URL: 'https://issuer.example/keys' }, /not both/],
  ])('%o are refused', (env, why) => {
    expect(() => readConfig(env)).toThrow(why);
    expect(() => readConfig(env)).not.toThrow(/too short, 31/);
  });

  it('without authentication the server listens on this machine alone, with it everywhere, unless HOST says where', () => {
    expect(readConfig({}).HOST).toBe('127.0.0.1');
    expect(readConfig({ REQUIRE_AUTH: 'true', JWT_SECRET: SECRET }).HOST).toBe('0.0.0.0');
    expect(readConfig({ HOST: '10.0.0.1' }).HOST).toBe('10.0.0.1');
  });
});
