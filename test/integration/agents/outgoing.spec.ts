import type { LookupAddress } from 'node:dns';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import { SELF_SIGNED } from '../../support/certificate.js';
import { within } from '../agent-port.suite.js';

describe('the way out to the addresses of strangers', () => {
  const ways: Outgoing[] = [];
  const way = (...networks: string[]) => {
    const made = new Outgoing(networks);
    ways.push(made);
    return made;
  };
  const servers: Server[] = [];
  async function serve(listener: RequestListener): Promise<{ url: string; port: number; asked: () => number }> {
    let asked = 0;
    const server = createServer((request, response) => {
      asked += 1;
      listener(request, response);
    });
    servers.push(server);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, port, asked: () => asked };
  }
  afterEach(async () => {
    await Promise.all(ways.splice(0).map((made) => made.close()));
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    }
  });

  it.each([
    ['cloud metadata', 'http://169.254.169.254/latest/meta-data'],
    ['cloud metadata as IPv4 in IPv6', 'http://[::ffff:169.254.169.254]/'],
    ['cloud metadata as a number', 'http://2852039166/'],
    ['Alibaba metadata', 'http://100.100.100.200/'],
    ['Azure’s own address', 'http://168.63.129.16/metadata'],
    ['Oracle metadata', 'http://192.0.0.192/opc/v2/instance'],
    ['AWS metadata over IPv6', 'http://[fd00:ec2::254]/'],
    ['Google metadata over IPv6', 'http://[fd20:ce::254]/'],
    ['cloud metadata behind NAT64', 'http://[64:ff9b::a9fe:a9fe]/'],
    ['link-local IPv6', 'http://[fe80::1]/'],
    ['this network', 'http://0.0.0.0:8888/'],
    ['the unspecified address', 'http://[::]:8888/'],
    ['multicast', 'http://224.0.0.1/'],
  ])('leads never to %s, whatever is allowed', async (_, url) => {
    await expect(way('loopback', 'private').check(url)).rejects.toMatchObject({ code: 'address_refused' });
  });

  it.each([
    ['127.0.0.1', 'loopback'],
    ['localhost', 'loopback'],
    ['[::1]', 'loopback'],
    ['0x7f.1', 'loopback'],
    ['[::ffff:127.0.0.1]', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.31.0.1', 'private'],
    ['192.168.1.1', 'private'],
    ['[fd12::1]', 'private'],
    ['[fec0::1]', 'private'],
    ['[64:ff9b::a01:203]', 'private'],
    ['[64:ff9b:1::1]', 'private'],
    ['[2002:a01:203::1]', 'private'],
    ['[64:ff9b::7f00:1]', 'loopback'],
    ['10.1.2.3', '10.1.0.0/16'],
    ['[fd12::1]', 'fd12::/16'],
  ])('leads to %s only where %s is allowed', async (host, network) => {
    await expect(way(network).check(`http://${host}/`)).resolves.toBeUndefined();
    const other = network === 'loopback' ? 'private' : 'loopback';
    await expect(way(other).check(`http://${host}/`)).rejects.toMatchObject({
      code: 'address_refused',
      message: expect.stringMatching(/AGENT_NETWORKS/),
    });
  });

  it('leads to public addresses', async () => {
    await expect(way().check('https://93.184.215.14/agent')).resolves.toBeUndefined();
  });

  it.each(['ftp://example.com/', 'file:///etc/passwd', 'http://me:secret@example.com/', 'gopher://x', 'not a url', ''])(
    'refuses %p',
    async (url) => {
      await expect(way('loopback').check(url)).rejects.toMatchObject({
        code: 'address_refused',
        message: expect.not.stringMatching(/secret/),
      });
    },
  );

  it('opens no connection to where it may not go, also when the dispatcher is used without fetch', async () => {
    const { url, asked } = await serve((_, response) => response.end('in'));
    const barred = way();
    await expect(barred.fetch(1000)(url)).rejects.toMatchObject({ code: 'address_refused' });
    await expect(barred.dispatcher.request({ origin: url, path: '/', method: 'GET' })).rejects.toMatchObject({ code: 'address_refused' });
    expect(asked()).toBe(0);
  });

  it('fetches through a name, and the Host header stays the name', async () => {
    const { port } = await serve((request, response) => response.end(request.headers.host));
    expect(await (await way('loopback').fetch(1000)(`http://localhost:${port}/`)).text()).toBe(`localhost:${port}`);
  });

  it('does not follow redirects, and says where they lead', async () => {
    const inner = await serve((_, response) => response.end('secret'));
    const { url } = await serve((_, response) => response.writeHead(302, { location: `${inner.url}/inside` }).end());
    await expect(way('loopback').fetch(1000)(url)).rejects.toMatchObject({
      code: 'address_refused',
      message: expect.stringContaining('/inside'),
    });
    expect(inner.asked()).toBe(0);
  });

  it('reads as many bytes as allowed, and not one more', async () => {
    const { url } = await serve((request, response) => response.end('x'.repeat(Number(request.url!.slice(1)))));
    const fetch = way('loopback').fetch(1000);
    expect(await (await fetch(`${url}/1000`)).text()).toHaveLength(1000);
    await expect(fetch(`${url}/1001`)).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  it('gives a stream as it comes, as many bytes of it as allowed', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      const more = (): unknown => response.destroyed || response.write('data: tick\n\n', () => setImmediate(more));
      more();
    });
    const heard: string[] = [];
    const broken: Error[] = [];
    const hear = { event: (data: string) => void heard.push(data), broken: (error: Error) => void broken.push(error) };
    const reader = (await way('loopback').fetch(120, hear)(url)).body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toMatch(/^data: tick/);
    const rest = async () => {
      while (!(await reader.read()).done);
    };
    await expect(rest()).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(broken).toMatchObject([{ code: 'payload_too_large' }]);
    expect(heard).toEqual(Array(10).fill('tick'));
  });

  it('hangs up on a stream that nobody reads any more, and on whoever is not waited for', async () => {
    let left = 0;
    const { url, asked } = await serve((request, response) => {
      response.on('close', () => {
        left += 1;
      });
      if (request.url === '/stream') response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    });
    const fetch = way('loopback').fetch(1000);
    await (await fetch(`${url}/stream`)).body!.cancel();
    expect(await within(5000, () => left === 1)).toBe(true);
    const enough = new AbortController();
    const answer = fetch(`${url}/never`, { signal: enough.signal });
    expect(await within(5000, () => asked() === 2)).toBe(true);
    enough.abort();
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
    expect(await within(5000, () => left === 2)).toBe(true);
    await expect(fetch(`${url}/never`, { signal: enough.signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect(asked()).toBe(2);
  });

  it('sends what it is given and gives what it gets: method, headers, bytes', async () => {
    const { url } = await serve((request, response) => {
      const { accept, 'accept-encoding': encoding, 'x-mine': mine } = request.headers;
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const said = { method: request.method, path: request.url, accept, encoding, mine, body: Buffer.concat(chunks).toString() };
        response.writeHead(201, { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] }).end(JSON.stringify(said));
      });
    });
    const headers = new Headers({ accept: 'application/json', 'x-mine': 'ü' });
    const answer = await way('loopback').fetch(1000)(`${url}/a?b=c`, { method: 'POST', headers, body: 'grüße' });
    expect([answer.status, answer.headers.getSetCookie()]).toEqual([201, ['a=1', 'b=2']]);
    expect(await answer.json()).toEqual({
      method: 'POST',
      path: '/a?b=c',
      accept: 'application/json',
      encoding: 'identity',
      mine: 'ü',
      body: 'grüße',
    });
  });

  it('takes no status that there is not', async () => {
    const { url } = await serve((_, response) => response.writeHead(999).end());
    await expect(way('loopback').fetch(1000)(url)).rejects.toMatchObject({
      code: 'agent_not_understood',
      message: expect.stringContaining('999'),
    });
  });

  it('does not decode what nobody asked to be encoded', async () => {
    const { url } = await serve((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'));
    await expect(way('loopback').fetch(1000)(url)).rejects.toMatchObject({
      code: 'agent_not_understood',
      message: expect.stringContaining('gzip'),
    });
  });

  describe('by a name of several addresses', () => {
    const found = (...addresses: string[]): LookupAddress[] => addresses.map((address) => ({ address, family: isIP(address) }));
    const named = (networks: string[], addressesOf: () => LookupAddress[]) => {
      const made = new Outgoing(networks, async () => addressesOf());
      ways.push(made);
      return made;
    };

    it('goes to the one where somebody listens, and never to those where no agent may be', async () => {
      const { port } = await serve((request, response) => response.end(request.headers.host));
      const metadata = '169.254.169.254';
      const out = named(['loopback'], () => found(metadata, '::1', '127.0.0.1'));
      expect(await (await out.fetch(1000)(`http://agent.example:${port}/`)).text()).toBe(`agent.example:${port}`);
    });

    it('says of each why nobody is there', async () => {
      const { port } = await serve(() => undefined);
      servers[0]!.close();
      const out = named(['loopback'], () => found('::1', '127.0.0.1'));
      await expect(out.fetch(1000)(`http://agent.example:${port}/`)).rejects.toMatchObject({
        message: expect.stringMatching(/ECONN|EADDR|ENET.*::1.*; connect ECONNREFUSED 127\.0\.0\.1/),
      });
    });

    it('looks again for each connection and not for each request, so a name that changes its mind gains nothing', async () => {
      const { port, asked } = await serve((_, response) => response.end('in'));
      let looked = 0;
      const out = named(['loopback'], () => found(++looked === 1 ? '127.0.0.1' : '169.254.169.254'));
      const ask = async () => {
        const text = await (await out.fetch(1000)(`http://agent.example:${port}/`)).text();
        await new Promise(setImmediate); // until the connection is free for the next
        return text;
      };
      expect([await ask(), await ask(), looked]).toEqual(['in', 'in', 1]);
      servers[0]!.closeAllConnections();
      let refusal: string | undefined; // at first perhaps that the connection was lost
      while (refusal !== 'address_refused') refusal = await ask().catch(({ code }: { code: string }) => code);
      expect(asked()).toBe(2);
    });
  });

  it('checks certificates against the name, not the address', async () => {
    const names: string[] = [];
    const named = (name: string, done: (error: null) => void) => {
      names.push(name);
      done(null);
    };
    const server = createTlsServer({ ...SELF_SIGNED, SNICallback: named }, (socket) => {
      socket.on('error', () => undefined);
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const out = new Outgoing(['loopback'], async () => [{ address: '127.0.0.1', family: 4 }]);
    ways.push(out);
    const { port } = server.address() as AddressInfo;
    await expect(out.fetch(1000)(`https://agent.example:${port}/`)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    expect(names).toEqual(['agent.example']);
    await new Promise((closed) => server.close(closed));
  });

  it('says which name cannot be resolved', async () => {
    await expect(way().check('http://no-such-host.invalid/')).rejects.toMatchObject({
      code: 'agent_unreachable',
      message: expect.stringContaining('no-such-host.invalid'),
    });
  });
});
