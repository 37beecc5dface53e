import { SignJWT } from 'jose';
import { openCheckpoint, readCheckpoint } from '../../src/ledger/checkpoint.js';
import { parseVerifierKey, type VerifierKey } from '../../src/ledger/note.js';
import { recordHash } from '../../src/ledger/record.js';
import { parseProof, verifyProof } from '../../src/ledger/tlog-proof.js';
import { rangeHash, subtreeHash, verifyConsistency, verifyInclusion } from '../../src/ledger/tree.js';
import { type Running, running } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';

const echo = (session_id: string) => ({ session_id, capability: 'echo', parameters: { text: 'Hello' } });

const bytes = async (ao: Running, path: string) => {
  const answer = await fetch(ao.server.url + path);
  return { status: answer.status, headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) };
};

async function keysOf(ao: Running): Promise<VerifierKey[]> {
  const { body } = await ao.get('/v1/log').expect(200);
  return (body as { keys: { vkey: string }[] }).keys.map(({ vkey }) => parseVerifierKey(vkey));
}

describe('the log over HTTP', () => {
  const ao = running(anyPlace, async () => ({ CHECKPOINT_INTERVAL_MS: '50', LOG_ENTRIES: 'public' }));
  let first: { contract_id: string; receipt: { hash: string } };
  let keys: VerifierKey[];

  beforeAll(async () => {
    const { body } = await ao.post('/v1/orchestrate?wait=published', echo('first')).expect(200);
    first = body as typeof first;
    keys = await keysOf(ao);
  });

  it('makes a receipt provable, to whoever knows the key and nothing else', async () => {
    const { text, headers } = await ao.get(`/v1/contracts/${first.contract_id}/proof`).expect(200);
    expect(headers['content-type']).toBe('text/plain; charset=utf-8');
    const proof = parseProof(text);
    expect(recordHash(proof.extra!).toString('hex')).toBe(first.receipt.hash);
    const { origin } = verifyProof(proof, Buffer.from(first.receipt.hash, 'hex'), keys);
    expect(origin).toMatch(/^agent-orchestrator\.local\//);
    expect(() => verifyProof(proof, recordHash(Buffer.from('another')), keys)).toThrow('does not lead');
  });

  it('proves either half, asked for by the id of either', async () => {
    const halves = await Promise.all(
      ['request', 'response'].map(
        async (of) => (await ao.get(`/v1/log/proof/inclusion?contract=${first.contract_id}&of=${of}`).expect(200)).body,
      ),
    );
    expect(halves[0].event_id).toBe(first.contract_id);
    expect(halves[1].leaf_hash).toBe(first.receipt.hash);
    const again = (await ao.get(`/v1/log/proof/inclusion?contract=${halves[1].event_id}&of=request`).expect(200)).body;
    expect(again.event_id).toBe(first.contract_id);
    for (const { index, tree_size, leaf_hash, path, root, checkpoint } of halves) {
      const hex = (text: string) => Buffer.from(text, 'hex');
      expect(
        verifyInclusion({ index: BigInt(index), size: BigInt(tree_size), leaf: hex(leaf_hash), path: path.map(hex), root: hex(root) }),
      ).toBe(true);
      expect(openCheckpoint(checkpoint, keys)).toMatchObject({ size: BigInt(tree_size), root: hex(root) });
    }
  });

  it('proves that it only grew', async () => {
    const before = readCheckpoint((await ao.get('/v1/log/checkpoint').expect(200)).text);
    await ao.post('/v1/orchestrate?wait=published', echo('second')).expect(200);
    const after = openCheckpoint((await ao.get('/v1/log/checkpoint').expect(200)).text, keys);
    const { body } = await ao.get(`/v1/log/proof/consistency?from=${before.size}&to=${after.size}`).expect(200);
    const path = (body.path as string[]).map((hash) => Buffer.from(hash, 'hex'));
    expect(verifyConsistency({ from: before.size, to: after.size, fromRoot: before.root, toRoot: after.root, path })).toBe(true);
    expect([body.from_root, body.to_root]).toEqual([before.root, after.root].map((root) => root.toString('hex')));
    expect((await ao.get(`/v1/log/proof/consistency?from=${before.size}`).expect(200)).body.to).toBeGreaterThanOrEqual(Number(after.size));
    await ao.get(`/v1/log/proof/consistency?from=${after.size}&to=${before.size}`).expect(400);
    const { body: early } = await ao.get('/v1/log/proof/consistency?from=1&to=100000').expect(404);
    expect(early).toMatchObject({ code: 'not_published' });
    expect((await ao.get('/v1/log/proof/consistency?from=0').expect(200)).body.path).toEqual([]);
  });

  it('says how it is', async () => {
    const { body } = await ao.get('/v1/log').expect(200);
    expect(body).toMatchObject({ refused: null, logs: [{ origin: body.origin, first_idx: 0 }], anchors: [] });
    expect(body.keys).toEqual([{ origin: body.origin, vkey: expect.stringContaining(`${body.origin}+`), first_size: expect.any(Number) }]);
    expect(body.size).toBeGreaterThan(3);
  });

  it('is static tiles, from which anybody hashes the root himself, and the records they are made of', async () => {
    const { headers, body } = await bytes(ao, '/log/checkpoint');
    expect([headers.get('content-type'), headers.get('cache-control')]).toEqual(['text/plain; charset=utf-8', 'no-cache']);
    const { size, root } = openCheckpoint(body, keys);
    const tile = await bytes(ao, `/log/tile/0/000.p/${size}`);
    expect([tile.status, tile.headers.get('content-type'), tile.body.length]).toEqual([200, 'application/octet-stream', Number(size) * 32]);
    expect(tile.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    const hashes = rangeHash({ start: 0n, end: size }, ({ level, index }) => {
      const at = Number(index) * 2 ** level * 32;
      return subtreeHash(tile.body.subarray(at, at + 2 ** level * 32));
    });
    expect(hashes).toEqual(root);
    const entries = await bytes(ao, `/log/tile/entries/000.p/${size}`);
    expect([entries.status, entries.headers.get('content-type')]).toEqual([200, 'application/octet-stream']);
    const leaves: Buffer[] = [];
    for (let at = 0; at < entries.body.length; ) {
      const length = entries.body.readUInt16BE(at);
      leaves.push(recordHash(entries.body.subarray(at + 2, at + 2 + length)));
      at += 2 + length;
    }
    expect(Buffer.concat(leaves)).toEqual(tile.body);
  });

  it.each([
    '/log/tile/0/000', // not full yet
    '/log/tile/0/000.p/255',
    '/log/tile/0/001.p/1',
    '/log/tile/1/000.p/1',
    '/log/tile/0/0',
    '/log/tile/64/000',
    '/log/tile/',
    '/log/tile/entries/000',
    '/log/tile/0/000.p%2F1x',
  ])('%s is no tile', async (path) => {
    const { status, headers } = await bytes(ao, path);
    expect([status, headers.get('content-type')]).toEqual([404, expect.stringMatching(/^application\/problem\+json/)]);
    expect(headers.get('cache-control')).toBeNull();
  });

  it('takes no other method on its static paths', async () => {
    const answer = await fetch(`${ao.server.url}/log/tile/0/000`, { method: 'POST' });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('refuses to wait for anything else', async () => {
    const { body } = await ao.post('/v1/orchestrate?wait=godot', echo('third')).expect(400);
    expect(body).toMatchObject({ code: 'invalid_request' });
  });
});

describe('the log with REQUIRE_AUTH', () => {
  const secret = 'x'.repeat(32);
  const ao = running(anyPlace, async () => ({
    REQUIRE_AUTH: 'true',
    JWT_SECRET: secret,
    HOST: '127.0.0.1',
    LOG_ENTRIES: 'operator',
    CHECKPOINT_INTERVAL_MS: '50',
  }));
  const bearer = async (tenant: string, scope: string) => {
    const token = new SignJWT({ sub: 'alice', tenant, scope, exp: Math.floor(Date.now() / 1000) + 600 }).setProtectedHeader({
      alg: 'HS256',
    });
    return { authorization: `Bearer ${await token.sign(new TextEncoder().encode(secret))}` };
  };

  it('shows hashes to everybody, a contract’s proof to its tenant alone, and all records to an auditor alone', async () => {
    const acme = await bearer('acme', 'orchestrate contracts:read');
    const { body } = await ao.post('/v1/orchestrate?wait=published', echo('first'), acme).expect(200);
    const proof = `/v1/contracts/${(body as { contract_id: string }).contract_id}/proof`;
    await ao.get(proof).set(acme).expect(200);
    await ao
      .get(proof)
      .set(await bearer('other', 'contracts:read'))
      .expect(404);
    await ao.get('/v1/log/checkpoint').expect(401);
    const { size } = readCheckpoint((await ao.get('/log/checkpoint').expect(200)).text);
    await ao.get(`/log/tile/0/000.p/${size}`).expect(200);
    const entries = `/log/tile/entries/000.p/${size}`;
    await ao.get(entries).expect(401);
    await ao.get(entries).set(acme).expect(403);
    const { headers } = await ao
      .get(entries)
      .set(await bearer('acme', 'audit'))
      .expect(200);
    expect(headers['cache-control']).toMatch(/^private,/);
  });
});

describe('the log while nothing is signed', () => {
  const ao = running(anyPlace, async () => ({ CHECKPOINT_INTERVAL_MS: '0' }));

  it('says why, and keeps nobody waiting', async () => {
    const { body } = await ao.post('/v1/orchestrate?wait=published', echo('first')).expect(200);
    expect(body).toMatchObject({ success: true, published: null });
    const { contract_id } = body as { contract_id: string };
    for (const path of [`/v1/contracts/${contract_id}/proof`, '/v1/log/checkpoint', '/log/checkpoint', '/log/tile/0/000.p/1']) {
      expect((await ao.get(path).expect(404)).body).toMatchObject({ code: 'not_published' });
    }
    expect((await ao.get('/v1/log').expect(200)).body).toMatchObject({ origin: null, size: 0, refused: 'CHECKPOINT_INTERVAL_MS is 0' });
    expect((await ao.get('/log/tile/entries/000.p/1').expect(404)).body).toMatchObject({ code: 'not_found' });
  });
});
