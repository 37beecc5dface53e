import { Stop } from '../../src/agents/agent-client.js';
import type { AgentProtocol, Discovered, Discovery } from '../../src/agents/agent-protocol.js';
import { AgentProtocols, type Listing } from '../../src/agents/agent-protocols.js';
import { type Found, findAt } from '../../src/agents/find-at.system.js';
import { UnspokenClient } from '../../src/agents/unspoken.client.js';

const LIST = 'http://list.example';
const discovered = (agent_id: string, bytes = 100): Discovered => ({
  description: { agent_id, name: agent_id, capabilities: [{ name: 'c' }] },
  endpoint: `http://${agent_id}.example`,
  document: { media_type: 'application/json', bytes: Buffer.alloc(bytes) },
});

/** A list, and whoever is behind the addresses it names; `who` may also throw or never settle. */
class Places extends AgentProtocols {
  readonly asked: string[] = [];
  readonly all: readonly AgentProtocol[] = [
    {
      name: 'told',
      discover: async (url, { stop }) => {
        this.asked.push(url);
        return url === LIST ? null : this.who(url, stop);
      },
      connect: () => new UnspokenClient('told'),
    },
  ];

  constructor(
    private readonly listing: Partial<Listing>,
    private readonly who: (url: string, stop: Stop) => Promise<Discovery | null> | Discovery | null = () => null,
  ) {
    super();
  }

  async check(): Promise<void> {}
  async list(): Promise<Listing> {
    return { agents: [], elsewhere: [], ...this.listing };
  }
}
const find = async (places: Places) => (await findAt(places, { url: LIST })) as Found;
const many = (count: number) => Array.from({ length: count }, (_, i) => `http://a${i}.example`);
const idOf = (url: string) => new URL(url).hostname.replace('.example', '');

describe('whoever is behind an address', () => {
  it('is told with what was left out there, and why', async () => {
    const places = new Places(
      { agents: [{ ...discovered('a'), protocol: 'told' }], skipped: ['entry 2 names nobody'], elsewhere: many(1) },
      () => ({
        agents: [discovered('b')],
        skipped: ['agent c: it has no descriptor'],
      }),
    );
    const { agents, errors } = await find(places);
    expect(agents.map(({ description }) => description.agent_id)).toEqual(['a', 'b']);
    expect(errors).toEqual(['entry 2 names nobody', 'agent c: it has no descriptor']);
  });

  it('is found though others break whatever asks them', async () => {
    const places = new Places({ elsewhere: many(40) }, (url) => {
      if (idOf(url) !== 'a39') throw new TypeError('of this adapter');
      return { agents: [discovered('a39')] };
    });
    const { agents, errors } = await find(places);
    expect(agents).toHaveLength(1);
    expect(errors).toHaveLength(39);
    expect(errors[0]).toBe('http://a0.example: of this adapter');
  });

  it('is read up to 32 MiB of documents, and no further', async () => {
    const places = new Places({ elsewhere: many(200) }, (url) => ({ agents: [discovered(idOf(url), 1024 * 1024)] }));
    const { agents, errors } = await find(places);
    expect(agents).toHaveLength(32);
    expect(errors).toEqual([`the documents behind ${LIST} have more than ${32 * 1024 * 1024} bytes together; the rest is left out`]);
    expect(places.asked.length).toBeLessThan(60);
  });

  it('is asked no more once nobody wants to know', async () => {
    const stop = new Stop();
    const places = new Places({ elsewhere: many(200) }, (_url, asked) => new Promise((_, reject) => asked.onStop(reject)));
    const found = findAt(places, { url: LIST, stop });
    setTimeout(() => stop.stop(new Error('enough')), 20);
    await expect(found).rejects.toThrow('enough');
    expect(places.asked.length).toBeLessThanOrEqual(17);
  });
});
