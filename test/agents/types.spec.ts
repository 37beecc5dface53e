/** What a package of ours says in types to who writes an agent in TypeScript. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { scratchDirectory } from '../support/place.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

const AGENT = `import { Agent } from 'agent-orchestrator';

export default class Greeter extends Agent {
  readonly description = { agent_id: 'greeter', name: 'Greeter', version: '1.0.0', capabilities: [{ name: 'greet' }] };
  async execute({ parameters }: Parameters<Agent['execute']>[0]) {
    return { success: true as const, data: { message: \`Hello, \${String(parameters['name'])}!\` } };
  }
}
`;

it('an agent in TypeScript is checked against the types of the package', async () => {
  const directory = await scratchDirectory();
  const installed = join(directory, 'node_modules', 'agent-orchestrator');
  const { exports, scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  await mkdir(join(installed, 'dist'), { recursive: true });
  await writeFile(join(installed, 'package.json'), JSON.stringify({ name: 'agent-orchestrator', type: 'module', exports }));
  await symlink(join(ROOT, 'node_modules', 'zod'), join(directory, 'node_modules', 'zod'));
  const [, ...flags] = (scripts.types as string).replace('--outDir dist', `--outDir ${join(installed, 'dist')}`).split(' ');
  const tsc = (args: string[], cwd: string) =>
    run(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), ...args], { cwd });
  await tsc(flags, ROOT);
  const check = async (source: string) => {
    const file = join(directory, 'greeter.ts');
    await writeFile(file, source);
    await writeFile(join(dirname(file), 'package.json'), '{"type":"module"}');
    return tsc(
      ['--ignoreConfig', '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--skipLibCheck', file],
      directory,
    ).then(
      () => '',
      ({ stdout }: { stdout: string }) => stdout,
    );
  };
  expect(await check(AGENT)).toBe('');
  expect(await check(AGENT.replace('success: true as const', 'done: true'))).toMatch(/is not assignable to/);
});
