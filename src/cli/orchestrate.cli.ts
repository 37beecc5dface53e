/** `agent-orchestrator orchestrate`: hands a task to a running orchestrator and tells how it ended. */
import { createReadStream } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { OrchestratorError } from '../kernel/errors.js';
import { lines, printable, printableJson } from '../kernel/printable.js';
import { type Colours, coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { type ConnectOptions, connect, connecting, WHERE_IT_LOOKS } from './connect.cli.js';
import type { Answer } from './orchestrator.schema.js';
import { type JsonObject, readObject, readParameters } from './parameters.js';
import { eachOf, shown } from './task-progress.cli.js';

const FAILED = 3;
/** More than a server takes. */
const MAX_INPUT_BYTES = 4 * 1024 * 1024;

interface Options extends ConnectOptions {
  readonly session: string;
  readonly capability?: string;
  readonly agent?: string;
  readonly message?: string;
  readonly prefer?: string;
  readonly parameters?: string;
  readonly context?: string;
  readonly intent?: string;
  readonly timeout?: number;
  readonly queue?: boolean;
  readonly priority?: number;
  readonly key?: string;
  readonly json?: boolean;
  readonly stream?: boolean;
}

export type Input = AsyncIterable<Uint8Array>;

export function orchestrateCommand(terminal: Terminal & { readonly stdin: Input }): Command {
  return connecting(new Command('orchestrate'))
    .description('hand a task to a running orchestrator: it picks the agent, records the call, and answers')
    .argument('[parameters...]', 'name=value for text, name:=value for JSON')
    .requiredOption('-s, --session <id>', 'your name for the conversation or job this belongs to')
    .option('-c, --capability <name>', 'what is to be done')
    .option('-a, --agent <id>', 'who is to do it (default: whoever offers the capability)')
    .option('-m, --message <text>', 'what is wanted, in words; alone it decides who gets it')
    .option('--prefer <protocol>', 'of those who can do it, who speaks this goes first, such as a2a, mcp or http')
    .option('-p, --parameters <json>', 'parameters as a JSON object, @file, or - for stdin')
    .option('--context <json>', 'context for the agent, written like --parameters')
    .option('--intent <text>', 'why, for the record')
    .option('--timeout <seconds>', 'how long the agent may take, up to 600', seconds)
    .option('--priority <1-10>', 'how urgent: of tasks that wait for the same busy agent the higher goes first', priority)
    .option('--queue', 'while all who can do it are stopped, wait for one to be started')
    .option('--key <text>', 'Idempotency-Key: the same key and task give the recorded answer again, never a second call')
    .option('--stream', 'show what the agent tells while it works; Ctrl-C cancels the task')
    .option('--json', 'print the answer as one JSON document, or with --stream one JSON object for each event')
    .addHelpText('after', HELP)
    .action(async (words: string[], options: Options) => {
      process.exitCode = await orchestrate(words, options, terminal);
    });
}

const HELP = `${WHERE_IT_LOOKS}
Examples:
  agent-orchestrator orchestrate --session first --capability echo text="Hello, world!"
  agent-orchestrator orchestrate -s first -c plan goal="a party" guests:=12 'diet:=["vegan"]'
  agent-orchestrator orchestrate -s first -m "put hello world into capital letters"
  agent-orchestrator orchestrate -s first -a greeter --parameters @task.json --key order-4711
  agent-orchestrator orchestrate -s first -c plan goal="a party" --stream
  jq '{text: .title}' news.json | agent-orchestrator orchestrate -s news -c uppercase -p - --json

Exit codes: 0 the agent did it · 3 it was not done, and that is recorded · 1 usage, not reachable, or refused: nothing was recorded,
unless the message says that it is unknown`;

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value <= 600) return value;
  throw new InvalidArgumentError('It must be a number of seconds, above 0 and up to 600.');
}

function priority(text: string): number {
  if (/^([1-9]|10)$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 to 10.');
}

async function orchestrate(words: string[], options: Options, terminal: Terminal & { readonly stdin: Input }): Promise<number> {
  const { session, capability, agent, message, intent, timeout, key } = options;
  if (capability === undefined && agent === undefined && message === undefined)
    throw wrong('say what is to be done with --capability or --message, or who is to do it with --agent');
  if (options.parameters === '-' && options.context === '-') throw wrong('stdin can be --parameters or --context, not both');
  const task = {
    session_id: session,
    capability,
    agent_id: agent,
    message,
    parameters: readParameters(words, await objectFrom('--parameters', options.parameters, terminal.stdin)),
    context: await objectFrom('--context', options.context, terminal.stdin),
    intent,
    timeout_seconds: timeout,
    queue: options.queue,
    preferred_protocol: options.prefer,
    priority: options.priority,
  };
  const client = await connect(options, terminal);
  const since = performance.now();
  const { stdout, stderr, env } = terminal;
  const follow = () => (options.json ? eachOf(client.follow(task, { key }), stdout) : shown(client.follow(task, { key }), stderr));
  const answer = await (options.stream ? follow() : client.orchestrate(task, { key }));
  if (options.json) {
    if (!options.stream) stdout.write(`${printableJson(answer)}\n`);
  } else stdout.write(`${render(answer, Math.round(performance.now() - since), coloursOf(stdout, env))}\n`);
  return answer.success ? 0 : FAILED;
}

async function objectFrom(option: string, text: string | undefined, stdin: Input): Promise<JsonObject | undefined> {
  if (text === undefined) return undefined;
  if (text === '-') return readObject(`${option} from stdin`, await textOf('stdin', stdin));
  if (!text.startsWith('@')) return readObject(option, text);
  const file = text.slice(1);
  return readObject(`${option} from ${file}`, await textOf(file, createReadStream(file)));
}

async function textOf(name: string, input: Input): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of input) {
      size += chunk.length;
      if (size > MAX_INPUT_BYTES) throw wrong(`${name} is larger than the ${MAX_INPUT_BYTES} bytes that can be sent`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof OrchestratorError ? error : wrong(`${name} cannot be read: ${(error as Error).message}`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function render(answer: Answer, milliseconds: number, colours: Colours): string {
  const { success, data, text, files, error, error_code, contract_id, agent_id, receipt } = answer;
  const head = success ? colours.green('✔ success') : `${colours.red('✘ failed')}: ${printable(`${error_code}: ${error}`)}`;
  const row = (name: string, text: string) => `  ${colours.dim(name.padEnd(9))} ${text}`;
  return [
    `${head}  ${colours.dim(`${milliseconds} ms`)}`,
    row('agent', printable(agent_id ?? 'none')),
    row('contract', printable(contract_id)),
    ...(answer.attempts ?? [])
      .slice(0, -1)
      .map((one) => row('before', printable(`${one.agent_id ?? 'none'}: ${one.error_code} (${one.contract_id})`))),
    ...(text ? [row('text', lines(text).replaceAll('\n', `\n${' '.repeat(12)}`))] : []),
    ...(data === null || data === undefined ? [] : [row('data', printableJson(data, 2).replaceAll('\n', `\n${' '.repeat(12)}`))]),
    ...(files ?? []).map((file) => row('file', printableJson(file))),
    row('receipt', printable(`${receipt.stream} seq ${receipt.seq}`)),
    row('', printable(receipt.hash)),
  ].join('\n');
}

const wrong = (why: string) => new OrchestratorError('invalid_request', why);
