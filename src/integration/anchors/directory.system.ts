/** A directory that keeps every checkpoint it gets, for example on a medium that takes no changes; or a git repository, whose history others copy. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { OrchestratorError } from '../../kernel/errors.js';
import type { Anchor, Anchored, AnchoredCheckpoint, ProveFrom } from '../../ledger/anchor.js';

const run = promisify(execFile);
const MAX_WORDS = 64 * 1024;

export class DirectoryAnchor implements Anchor {
  readonly name: string;

  constructor(private readonly directory: string) {
    this.name = `directory ${resolve(directory)}`;
  }

  async keep({ origin, size, note }: AnchoredCheckpoint, _prove: ProveFrom, signal: AbortSignal): Promise<Anchored> {
    const own = join(
      this.directory,
      encodeURIComponent(origin).replaceAll('.', (dot, at) => (at === 0 ? '%2E' : dot)),
    );
    const file = join(own, `${String(size).padStart(20, '0')}.checkpoint`);
    if (!existsSync(file)) {
      await mkdir(own, { recursive: true });
      await writeFile(`${file}.draft`, note, { flush: true });
      await rename(`${file}.draft`, file);
    }
    if (existsSync(join(this.directory, '.git'))) await this.commit(file, `${origin} ${size}`, signal);
    return {};
  }

  private async commit(file: string, message: string, signal: AbortSignal): Promise<void> {
    const path = resolve(file);
    await this.git(['add', '--', path], signal);
    const { stdout: changed } = await this.git(['status', '--porcelain', '--', path], signal);
    if (changed !== '') await this.git(['commit', '--quiet', '--message', message, '--', path], signal);
    const { stdout: remotes } = await this.git(['remote'], signal);
    if (remotes !== '') await this.git(['push', '--quiet'], signal);
  }

  private async git(args: string[], signal: AbortSignal) {
    try {
      const env = { ...process.env, GIT_TERMINAL_PROMPT: '0' }; // nobody is there to be asked
      return await run('git', ['-C', this.directory, ...args], { signal, env, maxBuffer: MAX_WORDS, encoding: 'utf8' });
    } catch (error) {
      const { stderr, message } = error as Error & { stderr?: string };
      throw new OrchestratorError('integration_unavailable', `git ${args[0]} in ${this.directory}: ${stderr?.trim() || message}`);
    }
  }
}
