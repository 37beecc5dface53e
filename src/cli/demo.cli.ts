/** `agent-orchestrator demo`: the whole flow in front of the reader. Nothing is acted: the commands shown are the commands run. */
import { join } from 'node:path';
import { Command } from 'commander';
import { explain } from '../failure.js';
import { OrchestratorError } from '../kernel/errors.js';
import { coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { Narrator, type Told } from './demo-narrator.cli.js';
import { clientOf, curl, DemoProtocols } from './demo-protocols.cli.js';
import { Stage } from './demo-stage.system.js';

/** As a shell reports a command that was ended by this signal; who reads no further has what he wanted. */
const ENDED_BY = { SIGINT: 130, SIGTERM: 143, SIGPIPE: 0 };

export function demoCommand(terminal: Terminal, cli: string): Command {
  return new Command('demo')
    .description(
      'play the whole flow in front of you: start, tasks, agents of six protocols, a failing task, the record, its summary, its copy, verify, stop, a forgery',
    )
    .option('--json', 'print one JSON object for each step, then a summary')
    .addHelpText('after', HELP)
    .action(async ({ json = false }: { json?: boolean }) => {
      process.exitCode = await demo(terminal, cli, json);
    });
}

const HELP = `
Works in a temporary directory with an embedded database and on a free port; your settings and your ledger are not touched. Shows each
command as you would type it, and what it answered. Making the database takes most of the time.

Examples:
  agent-orchestrator demo
  agent-orchestrator demo --json | jq -c '{step, title, exit_code, milliseconds}'

Exit codes: 0 everything went as it must · 1 something did not, and the message says what · 130 ended by Ctrl-C (143: SIGTERM)`;

async function demo(terminal: Terminal, cli: string, json: boolean): Promise<number> {
  const ended = new AbortController();
  // Not once: Ctrl-C under npm arrives twice, and the second must not cut short the cleaning up.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ended.abort(signal));
  process.stdout.on('error', () => ended.abort('SIGPIPE'));
  const forced = coloursOf(terminal.stdout, terminal.env).isColorSupported;
  const stage = await Stage.build(cli, { ...terminal.env, FORCE_COLOR: forced ? '1' : undefined });
  const narrator = new Narrator(terminal, json);
  const cut = new Promise<never>((_, reject) => ended.signal.addEventListener('abort', () => reject(new Error('ended'))));
  try {
    await Promise.race([new Play(stage, narrator, json).all(ended.signal), cut]);
    await stage.strike();
    narrator.ended();
    return 0;
  } catch (error) {
    await stage.strike();
    if (ended.signal.aborted) return ENDED_BY[ended.signal.reason as keyof typeof ENDED_BY];
    narrator.failed(explain(error as Error));
    return 1;
  }
}

class Play {
  constructor(
    private readonly stage: Stage,
    private readonly narrator: Narrator,
    private readonly json: boolean,
  ) {}

  async all(signal: AbortSignal): Promise<void> {
    const { stage, narrator } = this;
    narrator.opening(stage.directory);
    const peers = await this.peers(signal);
    const url = await this.start(peers, signal);
    await this.curl(url, signal);
    const task = ['orchestrate', '--session', 'demo', '--capability'];
    await this.command('Another, with the command line', [...task, 'uppercase', 'text=prove it'], { shows: /"PROVE IT"/ });
    await new DemoProtocols(stage, narrator, this.json).play(url, signal);
    await this.command('A task nobody can do: it fails, and that is on the record too', [...task, 'translate', 'text=Hello', 'to=fr'], {
      exitCode: 3,
      shows: /no_agent/,
    });
    await this.command('Who was asked to do what, and how did it end?', ['contracts', 'demo'], {
      shows: /echo.*completed.*uppercase.*completed.*failed/s,
    });
    await this.command('What is worth remembering of it? Every sentence cites the contracts it rests on', ['compress', 'demo'], {
      shows: /extract(ed|ive)/,
    });
    await this.command('Has anybody changed the record? Derive every hash of it again', ['verify'], { shows: /VALID|"valid"/ });
    await this.command('Trace had a copy sent to it meanwhile: is it the same?', ['trace', 'audit', '--session', 'demo'], {
      shows: /same/i,
    });
    await narrator.step('Stop it: running calls may finish, nothing accepted is lost', ['kill %1'], async () => {
      const { code, stdout, stderr } = await stage.stop();
      expect(code === 0, `the server ended with ${code}: ${stderr || stdout}`);
      return { exitCode: 0, answer: 'stopped in good order' };
    });
    await this.forgery();
  }

  private async peers(signal: AbortSignal): Promise<Record<string, string>> {
    const settings: Record<string, string> = {};
    await this.narrator.step(
      'Two peers, from examples/: a Trace that will be sent every contract, and a MemAgent for what is worth remembering',
      ['PORT=0 node examples/trace-server/server.mjs &', 'PORT=0 node examples/memagent-server/server.mjs &'],
      async () => {
        const [trace, memagent] = await Promise.all([
          this.stage.peer('trace-server/server.mjs', signal),
          this.stage.peer('memagent-server/server.mjs', signal),
        ]);
        Object.assign(settings, { TRACE_URL: trace, MEMAGENT_URL: memagent });
        return { answer: this.json ? settings : `Trace listens on ${trace}, MemAgent on ${memagent}` };
      },
    );
    return settings;
  }

  private async start(peers: Record<string, string>, signal: AbortSignal): Promise<string> {
    const { stage, narrator } = this;
    let url = '';
    await narrator.step(
      'Start an orchestrator on a free port; its database is inside',
      [
        `cd ${stage.directory}`,
        `${Object.entries(peers)
          .map(([name, value]) => `${name}=${value} `)
          .join('')}ORCHESTRATOR_PORT=0 agent-orchestrator serve &`,
      ],
      async () => {
        url = `http://127.0.0.1:${await stage.serve(peers, signal)}`;
        const health = await (await clientOf(url)).health(signal);
        expect(health.status === 'healthy', `it is ${health.status}`);
        return { answer: this.json ? { url, health } : `listens on ${url}, ${health.status}` };
      },
    );
    return url;
  }

  private curl(url: string, signal: AbortSignal): Promise<void> {
    const body = { session_id: 'demo', capability: 'echo', parameters: { text: 'Hello, world!' } };
    return this.narrator.step('A first task, over HTTP', [curl(`${url}/v1/orchestrate`, body)], async () => {
      const answer = await (await clientOf(url)).orchestrate(body, { signal });
      expect(answer.success && JSON.stringify(answer.data).includes('Echo: Hello, world!'), `it answered ${JSON.stringify(answer)}`);
      return { answer };
    });
  }

  private async forgery(): Promise<void> {
    const { stage, narrator } = this;
    const { FORGERY, forge } = await import('./demo-forgery.postgres.js');
    let forged: string[] = [];
    await narrator.step(
      'Now forge a copy: with every right in the database, the failure becomes a success, and its hash is made to fit',
      [
        'cp -r data/ledger data/forged; cp data/ledger.key data/forged.key',
        ...FORGERY.flatMap((sql) => sql.split('\n')).map((line) => `  ${line}`),
      ],
      async () => {
        await stage.copyLedger('data/ledger', 'data/forged');
        forged = await forge(join(stage.directory, 'data/forged'));
        return { answer: this.json ? { forged } : `rewritten: ${forged.join(', ')}` };
      },
    );
    await this.command('Verify says which event was touched', ['verify'], {
      env: { DATA_DIR: 'data/forged' },
      exitCode: 2,
      shows: new RegExp(`INVALID: first at event ${forged[0]}|"invalid".*${forged[0]}`, 's'),
    });
  }

  private command(
    title: string,
    args: readonly string[],
    { exitCode = 0, shows, env = {} }: { exitCode?: number; shows: RegExp; env?: Record<string, string> },
  ): Promise<void> {
    const all = this.json ? [...args, '--json'] : args;
    const typed = [...Object.entries(env).map(([name, value]) => `${name}=${value}`), 'agent-orchestrator', ...all.map(quoted)].join(' ');
    return this.narrator.step(title, [typed], async (): Promise<Told> => {
      const { code, stdout, stderr } = await this.stage.run(all, env);
      expect(code === exitCode, `${typed} ended with ${code} instead of ${exitCode}: ${stderr || stdout}`);
      expect(shows.test(stdout), `${typed} answered something else than ${shows}: ${stdout}`);
      return { exitCode, answer: this.json ? JSON.parse(stdout) : stdout.trimEnd() };
    });
  }
}

/** For a shell, as a person would write it: the value of name=value in quotes rather than all of it. */
function quoted(word: string): string {
  const [, name = '', value = ''] = /^(\w+=)?(.*)$/s.exec(word) ?? [];
  return name + (/^[\w./:-]*$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`);
}

function expect(holds: boolean, why: string): void {
  if (!holds) throw new OrchestratorError('internal', why);
}
