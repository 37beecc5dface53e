import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';

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
    ['AWS metadata over IPv6', 'http://[fd00:ec2::254]/'],
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
    await expect((await fetch(`${url}/1001`)).text()).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  it('says which name cannot be resolved', async () => {
    await expect(way().check('http://no-such-host.invalid/')).rejects.toMatchObject({
      code: 'agent_unreachable',
      message: expect.stringContaining('no-such-host.invalid'),
    });
  });
});
