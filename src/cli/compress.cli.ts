/** `agent-orchestrator compress`: has a session compressed into a memory block, and shows it. */
import { Command } from 'commander';
import { type ErrorCode, OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import { type Colours, coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { type ConnectOptions, connect, connecting, WHERE_IT_LOOKS } from './connect.cli.js';
import { Compressed, CompressProgress } from './orchestrator.schema.js';
import { readEvents, type ServerEvent } from './server-events.js';

const NO_SESSION = 5;

interface Options extends ConnectOptions {
  readonly intent?: string;
  readonly requireLlm?: boolean;
  readonly json?: boolean;
}

export function compressCommand(terminal: Terminal): Command {
  return connecting(new Command('compress'))
    .description('compress a session into a memory block whose every statement names the contracts it rests on')
    .argument('<session>', 'your name for the session, as given to orchestrate')
    .option('--intent <text>', 'what the memory is wanted for')
    .option('--require-llm', 'fail rather than extract when no language model can be had')
    .option('--json', 'print the answer as one JSON document')
    .addHelpText('after', HELP)
    .action(async (session: string, options: Options) => {
      process.exitCode = await compress(session, options, terminal);
    });
}

const HELP = `${WHERE_IT_LOOKS}
What came since the last block is summarised together with it. When nothing came, the same block is shown and no model is asked.
Progress goes to stderr. Ctrl-C gives up; then nothing is recorded.

Examples:
  agent-orchestrator compress first
  agent-orchestrator compress first --require-llm --intent "hand over to the night shift"
  agent-orchestrator compress first --json | jq -r '.memory_block.facts[].text'

Exit codes: 0 compressed · 5 there is no such session · 1 usage, not reachable, or refused`;

async function compress(session: string, options: Options, terminal: Terminal): Promise<number> {
  const client = await connect(options, terminal);
  const events = readEvents(client.compress({ session_id: session, intent: options.intent }, options.requireLlm ? 'llm' : undefined));
  try {
    const answer = await lastOf(events, terminal);
    const { stdout, env } = terminal;
    stdout.write(`${options.json ? printableJson(answer) : render(answer, coloursOf(stdout, env))}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof OrchestratorError) || error.code !== 'not_found') throw error;
    terminal.stderr.write(
      `agent-orchestrator compress: there is no session ${JSON.stringify(session)}; a session begins with its first task\n`,
    );
    return NO_SESSION;
  }
}

async function lastOf(events: AsyncIterable<ServerEvent>, { stderr }: Terminal): Promise<Compressed> {
  for await (const { event, data } of events) {
    const progress = CompressProgress.safeParse(data);
    if (progress.success) {
      stderr.write(`${told(progress.data)}\n`);
      continue;
    }
    const answer = Compressed.safeParse(data);
    if (!answer.success) break;
    if (event === 'done') return answer.data;
    throw new OrchestratorError((answer.data.code ?? 'internal') as ErrorCode, answer.data.error ?? 'it failed');
  }
  throw new OrchestratorError('ledger_unavailable', 'the server stopped before it was done; try again');
}

const STEPS: Record<string, string> = {
  read: 'reading the record',
  count: 'counting tokens',
  summarize: 'summarising',
  merge: 'merging the parts',
  record: 'recording the block',
};

function told({ step, done, total }: CompressProgress): string {
  const of = total > 1 ? ` (${done + 1} of ${total})` : '';
  return `${STEPS[step] ?? printable(step)}${of}`;
}

function render({ memory_block: block, created }: Compressed, colours: Colours): string {
  if (!block) return 'the session has nothing that could be compressed';
  const { bold, dim, yellow } = colours;
  const section = (title: string, statements: typeof block.facts) =>
    statements.length === 0
      ? []
      : [bold(title), ...statements.map(({ text, contracts }) => `  ${printable(text)} ${dim(printable(`[${shortened(contracts)}]`))}`)];
  const by = block.model === null ? 'extracted' : `by ${block.model}`;
  const cost = block.cost === null ? '' : `, cost ${block.cost}`;
  return [
    ...section('Summary', block.sentences),
    ...section('Decisions', block.key_decisions),
    ...section('Facts', block.facts),
    ...section('Preferences', block.preferences),
    ...section('Open questions', block.open_questions),
    ...section('Failures', block.failures),
    '',
    dim(
      printable(
        `${created ? 'new block' : 'nothing new, block'} ${block.memory_block_id}, ${by}, of seq ${block.from_seq} to ${block.to_seq}`,
      ),
    ),
    dim(`covers ${Math.round(block.coverage * 100)} % of its contracts; ${block.tokens_in} tokens in, ${block.tokens_out} out${cost}`),
    ...(block.removed_total > 0 ? [yellow(`${block.removed_total} statements removed: their citations did not hold`)] : []),
    ...(block.fallback === null ? [] : [yellow(printable(block.fallback))]),
  ].join('\n');
}

const shortened = (contracts: readonly string[]) =>
  contracts.slice(0, 3).join(', ') + (contracts.length > 3 ? ` and ${contracts.length - 3} more` : '');
