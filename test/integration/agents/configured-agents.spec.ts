import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { ConfiguredAgents } from '../../../src/integration/agents/configured-agents.system.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import { Protocols } from '../../../src/integration/agents/protocols.client.js';
import { EXAMPLE, MOODY } from '../../support/place.js';

const REMOTE = { agent_id: 'remote', name: 'Remote', capabilities: [{ name: 'far' }], endpoint: 'http://127.0.0.1:9/agent' };
const LOADER = pathToFileURL(join(__dirname, '../../../dist/integration/agents/configured-agents.system.js')).href;
const one = (change: object) => JSON.stringify({ agents: [{ ...REMOTE, ...change }] });

describe('the agents file', () => {
  let directory: string;
  let file: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ao-agents-'));
    file = join(directory, 'agents.json');
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const load = async (text: string) => {
    await writeFile(file, text);
    return new ConfiguredAgents(file, new Protocols(new Outgoing(['loopback'])).all).load();
  };

  it('names agents in this process by module and agents over HTTP by endpoint, in the order of their preference', async () => {
    const agents = await load(JSON.stringify({ agents: [REMOTE, EXAMPLE, MOODY] }));
    expect(agents.map((a) => [a.description.agent_id, a.protocol, a.endpoint])).toEqual([
      ['remote', 'http', 'http://127.0.0.1:9/agent'],
      ['agent_example_001', 'in-process', null],
      ['moody', 'in-process', null],
    ]);
    expect(agents[0]!.description).toEqual({
      agent_id: 'remote',
      name: 'Remote',
      description: '',
      version: '1.0.0',
      capabilities: [{ name: 'far', description: '' }],
    });
    for (const agent of agents) await agent.client.close();
  });

  it('says how much each may be asked to do, also one in this process', async () => {
    const limits = { weight: 2, max_concurrency: 3, max_queue: 0, breaker: { failures: 2, pause_seconds: 0.5 } };
    const agents = await load(
      JSON.stringify({
        agents: [
          { ...REMOTE, ...limits },
          { ...EXAMPLE, ...limits },
        ],
      }),
    );
    for (const { description, client } of agents) {
      expect(description).toMatchObject(limits);
      await client.close();
    }
    const wrong = JSON.stringify({ agents: [{ ...EXAMPLE, breaker: { failures: 0, patience: 1 } }] });
    await expect(load(wrong)).rejects.toThrow(/agents\.0 is wrong: breaker\.failures: .*patience/);
  });

  it('may name a module relative to itself, whose members may be undefined', async () => {
    const description = `{ agent_id: 'mine', name: 'Mine', version: undefined, capabilities: [{ name: 'a', tags: undefined }] }`;
    await writeFile(join(directory, 'mine.js'), `export default class { description = ${description}; execute() {} }`);
    const [agent] = await load('{"agents":[{"module":"./mine.js"}]}');
    expect(agent!.description).toStrictEqual({
      agent_id: 'mine',
      name: 'Mine',
      description: '',
      version: '1.0.0',
      capabilities: [{ name: 'a', description: '' }],
    });
  });

  it.each([
    ['that is not JSON', '{"agents": [', /line 1/],
    ['with a key twice', '{"agents":[],"agents":[]}', /"agents" stands twice/],
    ['without a list of agents', '{}', /agents/],
    ['with an agent id in capitals', one({ agent_id: 'Remote' }), /agent_id: must be 1-64 of a-z/],
    ['with a reserved agent id', one({ agent_id: 'health' }), /agent_id: is a reserved word/],
    ['with our own name as agent id', one({ agent_id: 'orchestrator' }), /agent_id: is a reserved word/],
    ['with an agent twice', JSON.stringify({ agents: [REMOTE, REMOTE] }), /"remote".*twice/],
    ['with an endpoint that is no http', one({ endpoint: 'ftp://x/' }), /agent "remote".*endpoint: must be an http or https URL/],
    ['with a password in an endpoint', one({ endpoint: 'http://me:secret@x/' }), /endpoint: must be a plain URL without user/],
    ['with a query in an endpoint', one({ endpoint: 'http://x/?a=1' }), /endpoint: must be a plain URL/],
    ['with an agent of no endpoint', one({ endpoint: undefined }), /agent "remote".*endpoint/],
    ['with an agent of no name', one({ name: 7 }), /agent "remote".*name: .*string/],
    ['with something that is no agent', '{"agents":[7]}', /agents\.0/],
    [
      'with a schema that does not compile',
      one({ capabilities: [{ name: 'far', input_schema: { $ref: 'http://x/' } }] }),
      /agent "remote".*input_schema: of capability "far" cannot be used: .*"http:\/\/x\/" leads nowhere/,
    ],
    [
      'with a capability twice',
      one({ capabilities: [{ name: 'far' }, { name: 'far' }] }),
      /capabilities\.1\.name: "far" stands there twice/,
    ],
    ['with a word nobody knows', one({ endpont: 1 }), /endpont/],
    ['with an agent that can nothing', one({ capabilities: [] }), /capabilities/],
    ['with a capability in two words', one({ capabilities: [{ name: 'a b' }] }), /capabilities\.0\.name/],
    [
      'with a module that is not there',
      '{"agents":[{"module":"./nowhere.js"}]}',
      /nowhere\.js.*there is no file \/.*relative to the agents file/,
    ],
    ['with a module that is a directory', '{"agents":[{"module":"."}]}', /"\.": there is no file/],
    ['with a module and more', '{"agents":[{"module":"./idle.js","name":"x"}]}', /agents\.0.*name/],
    ['with a module that throws', '{"agents":[{"module":"./broken.js"}]}', /broken\.js" cannot be loaded: no key/],
    ['with a module that throws nothing', '{"agents":[{"module":"./odd.js"}]}', /odd\.js" cannot be loaded: ./],
    ['with a module that misses another', '{"agents":[{"module":"./needy.js"}]}', /needy\.js" cannot be loaded: .*not-installed/],
    [
      'with a module whose schema does not compile',
      '{"agents":[{"module":"./promises.js"}]}',
      /promises\.js.*output_schema: of capability "a" cannot be used: .*\/type/,
    ],
    ['with a module whose description cannot be read', '{"agents":[{"module":"./shy.js"}]}', /shy\.js.*description is not plain data: 7/],
    ['with a module that holds no class', '{"agents":[{"module":"./const.js"}]}', /const\.js.*default export/],
    ['with a module whose class has no execute', '{"agents":[{"module":"./idle.js"}]}', /idle\.js.*execute/],
    ['with a module whose class cannot be made', '{"agents":[{"module":"./throws.js"}]}', /throws\.js.*no licence/],
    ['with a module that describes itself badly', '{"agents":[{"module":"./bad.js"}]}', /bad\.js.*description.*agent_id/],
    ['with a module whose description is no data', '{"agents":[{"module":"./circle.js"}]}', /circle\.js.*description.*circular/],
  ])('%s is refused with one line that says where', async (_what, text, said) => {
    const modules = {
      const: 'export const agent = 1;',
      idle: 'export default class { description = {}; }',
      throws: 'export default class { constructor() { throw new Error("no licence"); } execute() {} }',
      bad: 'export default class { description = { agent_id: "Bad" }; execute() {} }',
      broken: 'throw new Error("no key");',
      odd: 'throw null;',
      needy: 'import "not-installed"; export default class {}',
      promises:
        'export default class { description = { agent_id: "p", name: "P", capabilities: [{ name: "a", output_schema: { type: "x" } }] }; execute() {} }',
      shy: 'export default class { get description() { throw 7; } execute() {} }',
      circle: 'const me = {}; me.me = me; export default class { description = me; execute() {} }',
    };
    for (const [name, code] of Object.entries(modules)) await writeFile(join(directory, `${name}.js`), code);
    const refusal = (await load(text).catch((error: Error) => error)) as Error;
    expect(refusal).toMatchObject({ code: 'bad_configuration', message: expect.stringMatching(said) });
    expect(refusal.message).toContain(file);
    expect(refusal.message).not.toContain('\n');
  });

  it('may name a module by a path with %, #, ? and spaces in it', async () => {
    const odd = join(directory, 'odd %20 #1 ?a=b');
    await mkdir(odd);
    const description = `{ agent_id: 'odd', name: 'Odd', capabilities: [{ name: 'a' }] }`;
    await writeFile(join(odd, 'agent #2%41.mjs'), `export default class { description = ${description}; execute() {} }`);
    await writeFile(join(odd, 'agents.json'), '{"agents":[{"module":"./agent #2%41.mjs"}]}');
    // A Node of its own: import() is not Node's own within Jest.
    const code = `const { ConfiguredAgents } = await import(process.argv[1]);
      console.log((await new ConfiguredAgents(process.argv[2], []).load())[0].description.agent_id);`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code, LOADER, join(odd, 'agents.json')]);
    expect(stdout.trim()).toBe('odd');
  });

  it('does not wait without end for a module that does', async () => {
    await writeFile(join(directory, 'waits.mjs'), 'await new Promise(() => setTimeout(() => undefined, 5000));');
    await writeFile(file, '{"agents":[{"module":"./waits.mjs"}]}');
    const code = `const { ConfiguredAgents } = await import(process.argv[1]);
      await new ConfiguredAgents(process.argv[2], [], { loadMs: 100 }).load().catch((error) => console.log(error.message));
      process.exit();`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code, LOADER, file]);
    expect(stdout).toMatch(/waits\.mjs" cannot be loaded: it is not ready after 100 ms/);
  });

  it('that is not there is refused with what to do about it', async () => {
    const missing = join(directory, 'none.json');
    const refusal = (await new ConfiguredAgents(missing, []).load().catch((error: Error) => error)) as Error;
    expect(refusal).toMatchObject({ code: 'bad_configuration' });
    for (const said of [missing, 'AGENTS_FILE']) expect(refusal.message).toContain(said);
  });
});
