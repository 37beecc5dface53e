import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfiguredAgents } from '../../../src/integration/agents/configured-agents.system.js';
import { EXAMPLE, MOODY } from '../../support/place.js';

const REMOTE = { agent_id: 'remote', name: 'Remote', capabilities: [{ name: 'far' }], endpoint: 'http://127.0.0.1:9/agent' };
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
    return new ConfiguredAgents(file).load();
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
    ['with an endpoint that is no http', one({ endpoint: 'ftp://x/' }), /endpoint/],
    ['with a word nobody knows', one({ endpont: 1 }), /endpont/],
    ['with an agent that can nothing', one({ capabilities: [] }), /capabilities/],
    ['with a capability in two words', one({ capabilities: [{ name: 'a b' }] }), /capabilities\.0\.name/],
    ['with a module that is not there', '{"agents":[{"module":"./nowhere.js"}]}', /nowhere\.js/],
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
      circle: 'const me = {}; me.me = me; export default class { description = me; execute() {} }',
    };
    for (const [name, code] of Object.entries(modules)) await writeFile(join(directory, `${name}.js`), code);
    const refusal = (await load(text).catch((error: Error) => error)) as Error;
    expect(refusal).toMatchObject({ code: 'bad_configuration', message: expect.stringMatching(said) });
    expect(refusal.message).toContain(file);
    expect(refusal.message).not.toContain('\n');
  });

  it('that is not there is refused with what to do about it', async () => {
    const missing = join(directory, 'none.json');
    const refusal = (await new ConfiguredAgents(missing).load().catch((error: Error) => error)) as Error;
    expect(refusal).toMatchObject({ code: 'bad_configuration' });
    for (const said of [missing, 'AGENTS_FILE']) expect(refusal.message).toContain(said);
  });
});
