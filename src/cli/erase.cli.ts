/** `agent-orchestrator erase`: erases a session, contracts of it or fields of them, and says what could not be reached. */
import { Command } from 'commander';
import { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import { type Colours, coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { type ConnectOptions, connect, connecting, WHERE_IT_LOOKS } from './connect.cli.js';

interface Options extends ConnectOptions {
  readonly contract?: string[];
  readonly field?: string[];
  readonly basis: string;
  readonly requestedBy: string;
  readonly cancel?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

const Erased = z.looseObject({
  whole: z.boolean(),
  erasures: z.array(z.string()),
  events: z.number(),
  memory_blocks: z.array(z.string()),
  keys_destroyed: z.array(z.string()),
  left_of_tasks: z.array(z.string()),
  told: z.array(z.string()),
  out_of_reach: z.array(z.string()),
});
type Erased = z.output<typeof Erased>;

const EXIT = { held: 3, noSession: 5 };
/** A large session is deleted page by page. */
const ERASE_MS = 600_000;

export function eraseCommand(terminal: Terminal): Command {
  return connecting(new Command('erase'))
    .description('erase the payload of a session, for good; the record stays, verifies, and says why something is missing')
    .argument('<session>', 'your name for the session, as given to orchestrate')
    .requiredOption('--basis <text>', 'on which ground; it is recorded')
    .requiredOption('--requested-by <who>', 'who wants it: a reference to a request or a person; it is recorded')
    .option('--contract <id...>', 'only these contracts, by the id of either half')
    .option('--field <name...>', 'only these fields, as parameters or result')
    .option('--cancel', 'of a whole session: end what is still open first')
    .option('--yes', 'needed for a whole session: it is closed, and loses its name and its keys')
    .option('--json', 'print the answer as one JSON document')
    .addHelpText('after', HELP)
    .action(async (session: string, options: Options) => {
      process.exitCode = await erase(session, options, terminal);
    });
}

const HELP = `${WHERE_IT_LOOKS}
With REQUIRE_AUTH=true it needs a token with the scope erase. Memory blocks that may quote what goes are erased too. Trace and MemAgent, where
they are connected, are told. docs/privacy.md says what is out of reach.

Examples:
  agent-orchestrator erase first --yes --basis "GDPR Art. 17" --requested-by "ticket 4711"
  agent-orchestrator erase first --contract 01M7Z0JAKBKK1K5SNPKR5JD0Y3 --basis "sent by mistake" --requested-by ops
  agent-orchestrator erase first --field parameters result --basis "data minimisation" --requested-by dpo --json

Exit codes: 0 erased · 3 a legal hold forbids it · 5 there is no such session or contract · 1 usage, not reachable, or refused`;

async function erase(session: string, options: Options, terminal: Terminal): Promise<number> {
  const { contract, field, basis, requestedBy: requested_by, cancel } = options;
  if (!contract && !field && !options.yes)
    throw new OrchestratorError('invalid_request', 'a whole session cannot be brought back: add --yes, or name contracts or fields');
  const client = await connect(options, terminal);
  const body = { basis, requested_by, ...(contract && { contracts: contract }), ...(field && { fields: field }) };
  const path = `v1/sessions/${encodeURIComponent(session)}/erase${cancel ? '?cancel=true' : ''}`;
  try {
    const answer = await client.ask(path, Erased, { method: 'POST', body, milliseconds: ERASE_MS });
    const { stdout, env } = terminal;
    stdout.write(`${options.json ? printableJson(answer) : render(answer, coloursOf(stdout, env))}\n`);
    return 0;
  } catch (error) {
    const code = error instanceof OrchestratorError ? error.code : undefined;
    if (code !== 'legal_hold' && code !== 'not_found') throw error;
    terminal.stderr.write(`agent-orchestrator erase: ${printable((error as Error).message)}\n`);
    return code === 'legal_hold' ? EXIT.held : EXIT.noSession;
  }
}

function render(erased: Erased, { bold, dim, green, yellow }: Colours): string {
  if (erased.erasures.length === 0) return 'nothing of it was left to erase';
  const also = [
    ...(erased.memory_blocks.length > 0 ? [`${erased.memory_blocks.length} memory blocks`] : []),
    ...(erased.keys_destroyed.length > 0 ? [`${erased.keys_destroyed.length} keys destroyed`] : []),
    ...(erased.whole ? ['the name of the session'] : []),
  ];
  const told =
    erased.told.length > 0 ? [`${yellow('told')}          ${erased.told.join(', ')}: what they do with their copies is theirs`] : [];
  const left =
    erased.left_of_tasks.length > 0 ? [`${yellow('left')}          of the same tasks, not named: ${erased.left_of_tasks.join(', ')}`] : [];
  return [
    `${green('erased here')}   ${erased.events} events${also.length > 0 ? `, ${also.join(', ')}` : ''}`,
    ...left,
    ...told,
    ...erased.out_of_reach.map((what, i) => `${i === 0 ? yellow('out of reach') : ' '.repeat(12)}  ${what}`),
    `${bold('recorded as')}   ${dim(erased.erasures.join(', '))}`,
  ]
    .map(printable)
    .join('\n');
}
