/** `agent-orchestrator route`: who would get a task, and why. */
import { Command } from 'commander';
import { OrchestratorError } from '../kernel/errors.js';
import { lines, printable, printableJson } from '../kernel/printable.js';
import { coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { type ConnectOptions, connect, connecting, WHERE_IT_LOOKS } from './connect.cli.js';
import { repeated } from './option-values.cli.js';
import { Routed } from './orchestrator.schema.js';
import { readParameters } from './parameters.js';

const NOBODY = 3;
/** A language model may be asked on the way. */
const PATIENCE_MS = 150_000;

interface Options extends ConnectOptions {
  readonly session?: string;
  readonly capability?: string;
  readonly agent?: string;
  readonly param?: string[];
  readonly strategy?: string;
  readonly prefer?: string;
  readonly explain?: boolean;
  readonly json?: boolean;
}

export function routeCommand(terminal: Terminal): Command {
  return connecting(new Command('route'))
    .description('show who would get a task, and why; no agent is called and nothing is recorded')
    .argument('[message]', 'what is wanted, in words')
    .option('-c, --capability <name>', 'what is to be done, by its name')
    .option('-a, --agent <id>', 'who is to do it')
    .option('--prefer <protocol>', 'of those who can do it, who speaks this goes first')
    .option('-P, --param <name=value>', 'a parameter, name:=value for JSON; may be repeated', repeated)
    .option('-s, --session <id>', 'the conversation it would belong to: a language model is shown its latest calls')
    .option('--strategy <name>', 'simple (asks no language model), llm or hybrid instead of the ROUTING_STRATEGY of the server')
    .option('--explain', 'show every candidate, and what each rung said')
    .option('--json', 'print what the API answers')
    .addHelpText('after', HELP)
    .action(async (message: string | undefined, options: Options) => {
      process.exitCode = await route(message, options, terminal);
    });
}

const HELP = `${WHERE_IT_LOOKS}
Examples:
  agent-orchestrator route "my house is on fire" --explain
  agent-orchestrator route --capability echo -P text=Hello
  agent-orchestrator route "and tomorrow?" --session first --strategy llm
  agent-orchestrator route "put it into capital letters" --json | jq .routing

Exit codes: 0 somebody would get it · 3 nobody, or its parameters do not fit · 1 usage, not reachable, or refused`;

async function route(message: string | undefined, options: Options, terminal: Terminal): Promise<number> {
  const { capability, agent, prefer, session, strategy } = options;
  if (message === undefined && capability === undefined && agent === undefined)
    throw new OrchestratorError('invalid_request', 'say what is wanted, or name it with --capability or --agent');
  const parameters = readParameters(options.param ?? [], undefined);
  const body = { message, capability, agent_id: agent, preferred_protocol: prefer, session_id: session, strategy, parameters };
  const client = await connect(options, terminal);
  const answer = await client.ask('v1/route', Routed, { method: 'POST', body, milliseconds: PATIENCE_MS });
  const { stdout, env } = terminal;
  if (options.json) stdout.write(`${printableJson(answer, 2)}\n`);
  else {
    const { green, red, dim } = coloursOf(stdout, env);
    const head =
      answer.error === null
        ? green(`→ ${printable(`${answer.agent_id} as ${answer.capability}`)}`)
        : `${red('✘')} ${printable(`${answer.error_code}: ${answer.error}`)}`;
    stdout.write(`${head}  ${dim(`${answer.decision_ms} ms`)}\n`);
    if (options.explain) stdout.write(`${lines(answer.explanation)}\n`);
  }
  return answer.error === null ? 0 : NOBODY;
}
