/** The example MemAgent as a newcomer starts it: in a process of its own, to be killed and started again at the same address. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

const SERVER = join(__dirname, '../../examples/memagent-server/server.mjs');

export interface MemAgent {
  readonly url: string;
  /** What it has of a session; undefined: it does not know it. */
  block(session: string): Promise<{ user_notes: string[]; design_dna: string; memory_block_id: string } | undefined>;
  kill(): Promise<void>;
  startAgain(): Promise<void>;
}

export async function startMemAgent(): Promise<MemAgent> {
  let child: ChildProcess;
  let url = '';
  const begin = async (port: string) => {
    child = spawn(process.execPath, [SERVER], { env: { PORT: port }, stdio: ['ignore', 'pipe', 'inherit'] });
    url = await new Promise<string>((listening, failed) => {
      child.once('exit', (code) => failed(new Error(`the example MemAgent ended with ${code}`)));
      child.stdout!.setEncoding('utf8').on('data', (text: string) => {
        const match = /listens on (http:\S+)/.exec(text);
        if (match) listening(match[1]!);
      });
    });
  };
  await begin('0');
  return {
    get url() {
      return url;
    },
    block: async (session) => {
      const response = await fetch(`${url}/v1/session/${session}/memory-block`);
      return response.ok ? ((await response.json()) as never) : undefined;
    },
    kill: () =>
      new Promise((ended) => {
        if (child.exitCode !== null || child.signalCode !== null) return ended();
        child.once('exit', () => ended());
        child.kill('SIGKILL');
      }),
    startAgain: () => begin(new URL(url).port),
  };
}
