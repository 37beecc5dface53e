import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AgentClient, type Answer, Stop } from '../../../src/agents/agent-client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import { Protocols } from '../../../src/integration/agents/protocols.client.js';
import { type CredentialEntry, Credentials } from '../../../src/integration/tokens/credentials.client.js';
import { readCredentials } from '../../../src/integration/tokens/credentials-file.system.js';
import { type GuardedAgent, grants, startGuarded } from '../../support/guarded-agent.js';
import { scratchDirectory } from '../../support/place.js';

const PROTOCOLS = ['http', 'a2a', 'acp-invoke', 'acp-beeai', 'acp-agntcy', 'mcp'];
const TASK = { task_id: '01K00000000000000000000000', capability: 'x', parameters: {}, context: {} };
const DESCRIPTION = { agent_id: 'a', name: 'A', description: '', version: '1.0.0', capabilities: [{ name: 'x', description: '' }] };

describe('credentials for agents', () => {
  const open: { close(): Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  const guarded = async (accepts?: (token: string) => boolean) => {
    const agent = await startGuarded(accepts);
    open.push(agent);
    return agent;
  };
  const fetchedAt = (agent: GuardedAgent, more: object = {}) =>
    ({
      at: agent.url,
      token_url: `${agent.url}/token`,
      client_id: 'or:ch',
      client_secret: 's€cret',
      client_auth: 'basic',
      ...more,
    }) as const;
  const connected = (entries: readonly CredentialEntry[], endpoint: string, { protocol = 'http', now = Date.now } = {}): AgentClient => {
    const outgoing = new Outgoing(['loopback'], undefined, new Credentials(entries, now));
    const spoken = new Protocols(outgoing).all.find(({ name }) => name === protocol)!;
    const client = spoken.connect({ endpoint, description: DESCRIPTION });
    open.push(client, outgoing);
    return client;
  };
  const call = (client: AgentClient, stop = new Stop()): Promise<Answer> => client.call(TASK, { stop, trace: null });

  it.each(PROTOCOLS)('go along with every request over %s, calls and probes, and to no other address', async (protocol) => {
    const [agent, stranger] = [await guarded(), await guarded()];
    const entries = [{ at: agent.url, token: 'sesame' }];
    for (const { url } of [agent, stranger]) {
      const client = connected(entries, url, { protocol });
      await call(client);
      await client.health();
    }
    const sent = ({ heard }: GuardedAgent) => new Set(heard.map(({ authorization }) => authorization));
    expect([sent(agent), sent(stranger)]).toEqual([new Set(['Bearer sesame']), new Set([undefined])]);
    expect(agent.heard.length).toBeGreaterThan(1);
  });

  it('are those of the longest address that is the agent’s or above it, name by name', async () => {
    const agent = await guarded();
    const entries = [
      { at: `${agent.url}/teams/`, token: 'teams' },
      { at: `${agent.url}/teams/fire`, token: 'fire' },
    ];
    for (const path of ['/teams/fire/one', '/teams/fire', '/teams/fireworks', '/teams', '/', '/teams/../fire'])
      await call(connected(entries, agent.url + path));
    expect(agent.heard.map(({ path, authorization }) => [path, authorization])).toEqual([
      ['/teams/fire/one/execute', 'Bearer fire'],
      ['/teams/fire/execute', 'Bearer fire'],
      ['/teams/fireworks/execute', 'Bearer teams'],
      ['/teams/execute', 'Bearer teams'],
      ['/execute', undefined],
      ['/fire/execute', undefined],
    ]);
  });

  it('are fetched once for all who need them, kept, and fetched anew before they expire', async () => {
    const agent = await guarded();
    let now = 1_000_000;
    const client = connected([fetchedAt(agent, { scope: 'fire_agent', audience: 'https://fire' })], agent.url, { now: () => now });
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(client)));
    expect(answers.every(({ success }) => success)).toBe(true);
    expect(agent.asked.map(({ form }) => form)).toEqual([
      { grant_type: 'client_credentials', scope: 'fire_agent', audience: 'https://fire' },
    ]);
    expect(agent.asked[0]!.headers.authorization).toBe(`Basic ${Buffer.from('or%3Ach:s%E2%82%ACcret').toString('base64')}`);
    now += 3539_000;
    await call(client);
    expect(agent.asked).toHaveLength(1);
    now += 1000;
    await call(client);
    expect(agent.asked).toHaveLength(2);
    expect(agent.heard.at(-1)!.authorization).toBe('Bearer token-2');
  });

  it('are fetched with the secret in the body for endpoints that read nothing else', async () => {
    const agent = await guarded();
    expect(await call(connected([fetchedAt(agent, { client_auth: 'body' })], agent.url))).toMatchObject({ success: true });
    expect(agent.asked[0]).toMatchObject({
      form: { grant_type: 'client_credentials', client_id: 'or:ch', client_secret: 's€cret' },
      headers: expect.not.objectContaining({ authorization: expect.anything() }),
    });
  });

  it('that an agent accepts no more are fetched anew for the next call; this one is not sent twice', async () => {
    const agent = await guarded((token) => token !== 'token-1');
    const client = connected([fetchedAt(agent)], agent.url);
    expect(await call(client)).toMatchObject({ success: false, message: expect.stringContaining('401') });
    expect(agent.heard).toHaveLength(1);
    expect(await call(client)).toMatchObject({ success: true });
  });

  it.each<[string, GuardedAgent['grant'], RegExp]>([
    ['are denied', (to) => to.writeHead(400).end('{"error":"invalid_client","error_description":"s€cret"}'), /HTTP 400 invalid_client$/],
    ['are no bearer tokens', grants({ token_type: 'mac' }), /HTTP 200$/],
    ['are garbage', (to) => to.writeHead(200).end('<html>'), /HTTP 200$/],
    ['are elsewhere', (to) => to.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), /HTTP 302$/],
    ['are not to be had', (to) => void to.socket!.destroy(), /does not answer/],
  ])('that %s: the agent is not asked, whoever can may be asked instead, and no secret is told', async (_, grant, says) => {
    const agent = await guarded();
    agent.grant = grant;
    const answer = await call(connected([fetchedAt(agent)], agent.url));
    expect(answer).toMatchObject({
      success: false,
      code: 'agent_unreachable',
      fault: { untouched: true },
      message: expect.stringMatching(says),
    });
    expect(JSON.stringify(answer)).not.toMatch(/s€cret|token-1/);
    expect(agent.heard).toEqual([]);
  });

  it('that do not come keep nobody: a call that is stopped ends at once', async () => {
    const agent = await guarded();
    const waits: (() => void)[] = [];
    agent.grant = (response, nth) => void waits.push(() => grants()(response, nth));
    const stop = new Stop();
    const answer = call(connected([fetchedAt(agent)], agent.url), stop);
    while (waits.length === 0) await new Promise(setImmediate);
    stop.stop(new Error('not wanted any more'));
    expect(await answer).toMatchObject({ success: false, message: expect.stringContaining('not wanted any more') });
    waits[0]!();
    expect(agent.heard).toEqual([]);
  });
});

describe('the credentials file', () => {
  const written = async (text: string, mode = 0o600) => {
    const file = join(await scratchDirectory(), 'credentials.json');
    await writeFile(file, text);
    await chmod(file, mode);
    return file;
  };
  const FETCHED = { at: 'https://a.example.com', token_url: 'https://login.example.com/token', client_id: 'me', client_secret: 'hunter2' };
  const of = (...credentials: object[]) => JSON.stringify({ credentials });

  it('gives credentials by address; without one there are none', async () => {
    const credentials = await readCredentials(await written(of({ at: 'https://b.example.com/x', token: 'sesame' }, FETCHED), 0o640));
    expect(await credentials.for('https://b.example.com/x/y')!.authorization()).toBe('Bearer sesame');
    expect(credentials.for('https://a.example.com')).toBeDefined();
    expect(credentials.for('https://b.example.com')).toBeUndefined();
    expect((await readCredentials(undefined)).for('https://b.example.com')).toBeUndefined();
  });

  it.each<[string, string, RegExp]>([
    ['no JSON', '{"hunter2', /: it is not JSON$/],
    ['something else', '{"agents":[]}', /must be {"credentials": \[…\]}/],
    ['an address that is none', of({ at: 'hunter2', token: 'x' }), /credentials\.0 is wrong: at: must be an http or https URL/],
    ['a token with a blank', of({ at: 'https://a', token: 'hunter2 x' }), /token: must be characters without blanks/],
    [
      'a token endpoint that anybody may listen to',
      of({ ...FETCHED, token_url: 'http://login.example.com' }),
      /token_url: must be an https URL/,
    ],
    ['half of what it takes', of({ at: 'https://a', client_id: 'me' }), /token_url: .*client_secret: /],
    ['a member nobody knows', of({ ...FETCHED, colour: 'red' }), /Unrecognized key: "colour"/],
    ['an address twice', of(FETCHED, { at: 'https://a.example.com/', token: 'x' }), /https:\/\/a\.example\.com stands there twice/],
  ])('with %s is refused, and nothing of it is quoted that may be secret', async (_, text, says) => {
    const file = await written(text);
    const refused = await readCredentials(file).catch((error: Error) => error);
    expect(refused).toMatchObject({ code: 'bad_configuration', message: expect.stringMatching(says) });
    expect((refused as Error).message).toContain(`credentials file ${file}: `);
    expect((refused as Error).message).not.toContain('hunter2');
  });

  it('that everybody may read, or that is not there, is refused', async () => {
    const file = await written(of(FETCHED), 0o644);
    await expect(readCredentials(file)).rejects.toThrow(`everybody may read it: chmod 600 ${file}`);
    await expect(readCredentials(`${file}.none`)).rejects.toThrow(/there is no such file/);
  });
});
