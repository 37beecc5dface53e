/**
 * The way out to addresses that strangers gave us: registrations, cards, registries, webhooks. A name is resolved once per connection and the
 * connection goes to the address that was looked at, so a name that changes its mind (DNS rebinding) gains nothing. Redirects are refused,
 * answers are bounded.
 */
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';
import { OrchestratorError } from '../../kernel/errors.js';

/** Cloud metadata, other link-local things, multicast, "this network" and broadcast: no agent lives there. */
const NEVER = blockList(
  ['169.254.0.0/16', '0.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4', '100.100.100.200/32'],
  ['fe80::/10', '::/128', 'ff00::/8', 'fd00:ec2::254/128'],
);
const LOOPBACK = blockList(['127.0.0.0/8'], ['::1/128']);
const PRIVATE = blockList(
  ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15'],
  ['fc00::/7', '64:ff9b::/96'],
);

const CONNECT_MS = 5000;
const KEEP_ALIVE_MS = 10_000;

/** Which networks beside the public ones may be reached: `loopback`, `private`, or ranges such as 10.1.0.0/16. */
export class Outgoing {
  private readonly loopback: boolean;
  private readonly privately: boolean;
  private readonly ranges: BlockList;
  /** For pools of undici: connections that go only where they may. */
  readonly connect: buildConnector.connector;
  /** The same as a pool for any number of addresses. */
  readonly dispatcher: Agent;

  constructor(networks: readonly string[]) {
    this.loopback = networks.includes('loopback');
    this.privately = networks.includes('private');
    const ranges = networks.filter((n) => n.includes('/'));
    this.ranges = blockList(
      ranges.filter((r) => r.includes('.')),
      ranges.filter((r) => !r.includes('.')),
    );
    const connect = buildConnector({ timeout: CONNECT_MS });
    this.connect = (options, done) => {
      this.resolve(options.hostname).then(
        // The certificate is still checked against the name; an address has none.
        (address) => {
          const servername = options.servername || (isIP(nameOf(options.hostname)) ? undefined : options.hostname);
          connect({ ...options, hostname: address, ...(servername !== undefined && { servername }) }, done);
        },
        (error: Error) => done(error, null),
      );
    };
    // No time limit of its own: an agent may take ten minutes to answer, and whoever asks has set one.
    this.dispatcher = new Agent({ keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: 0, bodyTimeout: 0, connect: this.connect });
  }

  /** Throws `address_refused` unless the address is http or https and leads where agents may live. */
  async check(url: string): Promise<void> {
    const parsed = URL.parse(url);
    if (!parsed || !['http:', 'https:'].includes(parsed.protocol)) throw refused(`"${shown(url)}" is no http or https URL`);
    if (parsed.username || parsed.password) throw refused(`"${parsed.origin}" carries a user or password; leave them out`);
    await this.resolve(parsed.hostname);
  }

  /** `fetch` for SDKs: the way out as above, at most `maxBytes` of answer, no redirects. */
  fetch(maxBytes: number): typeof globalThis.fetch {
    return (async (input: string | URL, init: RequestInit = {}) => {
      const url = String(input instanceof Request ? input.url : input);
      await this.check(url);
      const answer = await undiciFetch(url, { ...(init as object), redirect: 'manual', dispatcher: this.dispatcher });
      if (answer.status >= 300 && answer.status < 400 && answer.status !== 304) {
        await answer.body?.cancel();
        throw refused(
          `${new URL(url).origin} redirects to ${shown(answer.headers.get('location') ?? 'nowhere')}; redirects are not followed`,
        );
      }
      const body = answer.body?.pipeThrough(atMost(maxBytes)) ?? null;
      return new Response(body as ReadableStream | null, {
        status: answer.status,
        statusText: answer.statusText,
        headers: Object.fromEntries(answer.headers),
      });
    }) as typeof globalThis.fetch;
  }

  close(): Promise<void> {
    return this.dispatcher.destroy();
  }

  /** The address to connect to. */
  private async resolve(hostname: string): Promise<string> {
    const host = nameOf(hostname);
    const addresses = isIP(host) ? [host] : (await this.addressesOf(host)).map(({ address }) => address);
    const allowed = addresses.find((address) => this.allows(address));
    if (allowed === undefined)
      throw refused(`${host} is at ${addresses.join(', ')}, where no agent may be; AGENT_NETWORKS says which networks are allowed`);
    return allowed;
  }

  private async addressesOf(host: string) {
    try {
      return await lookup(host, { all: true });
    } catch (error) {
      throw new OrchestratorError('agent_unreachable', `the name ${host} cannot be resolved: ${(error as NodeJS.ErrnoException).code}`, {
        cause: error,
      });
    }
  }

  private allows(address: string): boolean {
    if (inside(NEVER, address)) return false;
    if (inside(this.ranges, address)) return true;
    if (inside(LOOPBACK, address)) return this.loopback;
    return this.privately || !inside(PRIVATE, address);
  }
}

function blockList(v4: readonly string[], v6: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of v4) list.addSubnet(...cidr(range), 'ipv4');
  for (const range of v6) list.addSubnet(...cidr(range), 'ipv6');
  return list;
}

function cidr(range: string): [string, number] {
  const [net, bits] = range.split('/');
  return [net!, Number(bits)];
}

/** ::ffff:127.0.0.1 and the like stand for the address inside; BlockList knows. */
const inside = (list: BlockList, address: string) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

const nameOf = (hostname: string) => hostname.replace(/^\[|\]$/g, '');
const shown = (text: string) => text.slice(0, 200);
const refused = (why: string) => new OrchestratorError('address_refused', why);

function atMost(maxBytes: number): TransformStream<Uint8Array, Uint8Array> {
  let size = 0;
  return new TransformStream({
    transform(chunk, controller) {
      size += chunk.length;
      if (size > maxBytes) controller.error(new OrchestratorError('payload_too_large', `the answer has more than ${maxBytes} bytes`));
      else controller.enqueue(chunk);
    },
  });
}
