/**
 * The way out to addresses that strangers gave us: registrations, cards, registries, webhooks. A name is resolved once per connection and the
 * connection goes to one of the addresses that were looked at, so a name that changes its mind (DNS rebinding) gains nothing. A connection that
 * stands is not looked at again. Redirects are refused, answers are bounded.
 */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector, Pool } from 'undici';
import { OrchestratorError } from '../../kernel/errors.js';
import { Credentials } from '../tokens/credentials.client.js';
import { type Fetch, fetchOver, type Hearing } from './fetch.client.js';

/** Cloud metadata (of Azure, Oracle and Alibaba at addresses of their own), link-local, multicast, "this network", broadcast: no agent lives there. */
const NOWHERE = ['169.254.0.0/16', '168.63.129.16/32', '192.0.0.0/24', '100.100.100.200/32', '0.0.0.0/8', '224.0.0.0/4', '240.0.0.0/4'];
/** What a gateway (NAT64) makes IPv4 addresses of. */
const behindNat64 = (range: string) => `64:ff9b::${range.replace(/\d+$/, (bits) => String(96 + Number(bits)))}`;
const NEVER = blockList(NOWHERE, ['fe80::/10', '::/128', 'ff00::/8', 'fd00:ec2::254/128', 'fd20:ce::254/128', ...NOWHERE.map(behindNat64)]);
const LOOPBACK = blockList(['127.0.0.0/8'], ['::1/128', behindNat64('127.0.0.0/8')]);
/** IPv6 that leads to IPv4 may lead to anything private there. */
const PRIVATE = blockList(
  ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15'],
  ['fc00::/7', 'fec0::/10', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16'],
);

/** To all addresses of a name together, and to one of them while there are others. */
const CONNECT_MS = 5000;
const ATTEMPT_MS = 1000;
/** No time limit of their own: an agent may take ten minutes to answer, and whoever asks has set one. */
const WITHOUT_LIMIT = { keepAliveTimeout: 10_000, headersTimeout: 0, bodyTimeout: 0 };

/** Which networks beside the public ones may be reached: `loopback`, `private`, or ranges such as 10.1.0.0/16. */
export class Outgoing {
  private readonly loopback: boolean;
  private readonly privately: boolean;
  private readonly ranges: BlockList;
  /** For pools of undici: connections that go only where they may. */
  readonly connect: buildConnector.connector;
  /** The same as a pool for any number of addresses. */
  readonly dispatcher: Agent;

  constructor(
    networks: readonly string[],
    private readonly addressesOf: (name: string) => Promise<LookupAddress[]> = (name) => lookup(name, { all: true }),
    /** What whoever asks has to show, by address. */
    readonly credentials: Credentials = Credentials.none,
  ) {
    this.loopback = networks.includes('loopback');
    this.privately = networks.includes('private');
    const ranges = networks.filter((n) => n.includes('/'));
    this.ranges = blockList(
      ranges.filter((r) => r.includes('.')),
      ranges.filter((r) => !r.includes('.')),
    );
    // Names are looked up here, and Node tries what is found one after the other. Addresses it does not look up.
    const looksUp: LookupFunction = (name, _options, done) =>
      void this.resolve(name).then(
        (found) => done(null, found),
        (error: Error) => done(error, []),
      );
    const connect = buildConnector({
      timeout: CONNECT_MS,
      lookup: looksUp,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ATTEMPT_MS,
    });
    this.connect = (options, done) => {
      const hostname = nameOf(options.hostname);
      if (isIP(hostname) && !this.allows(hostname)) return done(barred(hostname, [hostname]), null);
      connect({ ...options, hostname }, (error, socket) => (error ? done(inWords(error), null) : done(null, socket)));
    };
    this.dispatcher = new Agent({ ...WITHOUT_LIMIT, connect: this.connect });
  }

  /** Throws `address_refused` unless the address is http or https and leads where agents may live. */
  async check(url: string): Promise<void> {
    await this.resolve(nameOf(httpUrl(url).hostname));
  }

  /** `fetch` for SDKs: the way out as above, at most `maxBytes` of answer, no redirects. */
  fetch(maxBytes: number, hear: Hearing = {}): Fetch {
    return async (input, init = {}) => {
      const url = httpUrl(String(input));
      return fetchOver(this.dispatcher, url, { init, credential: this.credentials.for(url), maxBytes, hear });
    };
  }

  /** Connections to one server, for a client of its own: destroyed with it, whatever goes over them. */
  poolTo(url: string): Pool {
    return new Pool(new URL(url).origin, { ...WITHOUT_LIMIT, connect: this.connect });
  }

  close(): Promise<void> {
    return this.dispatcher.destroy();
  }

  /** The addresses that may be connected to; there is one at least. */
  private async resolve(host: string): Promise<LookupAddress[]> {
    const family = isIP(host);
    const found = family > 0 ? [{ address: host, family }] : await this.lookedUp(host);
    const allowed = found.filter(({ address }) => this.allows(address));
    if (allowed.length > 0) return allowed;
    throw barred(
      host,
      found.map(({ address }) => address),
    );
  }

  private async lookedUp(host: string): Promise<LookupAddress[]> {
    try {
      return await this.addressesOf(host);
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

function httpUrl(url: string): URL {
  const parsed = URL.parse(url);
  if (!parsed || !['http:', 'https:'].includes(parsed.protocol)) throw refused(`"${url.slice(0, 200)}" is no http or https URL`);
  if (parsed.username || parsed.password) throw refused(`"${parsed.origin}" carries a user or password; leave them out`);
  return parsed;
}

const refused = (why: string) => new OrchestratorError('address_refused', why);
const barred = (host: string, addresses: readonly string[]) =>
  refused(`${host} is at ${addresses.join(', ')}, where no agent may be; AGENT_NETWORKS says which networks are allowed`);

/** Where several addresses were tried Node's error has no words of its own. */
function inWords(error: Error & { errors?: readonly Error[]; code?: string }): Error {
  if (!error.errors) return error;
  const message = error.errors.map((each) => each.message).join('; ');
  return Object.assign(new Error(message, { cause: error }), { code: error.code, syscall: 'connect' });
}
