/** `agent-orchestrator hold`: legal holds, which nothing they cover can be erased under. */
import { Command } from 'commander';
import { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import type { Terminal } from '../kernel/terminal.system.js';
import { type ConnectOptions, connect, connecting, WHERE_IT_LOOKS } from './connect.cli.js';
import type { Call } from './orchestrator.client.js';

interface Options extends ConnectOptions {
  readonly session?: string;
  readonly all?: boolean;
  readonly reason: string;
  readonly requestedBy: string;
  readonly json?: boolean;
}

const Hold = z.looseObject({
  hold_id: z.string(),
  placed_at: z.string(),
  session_id: z.string().nullable(),
  streams: z.array(z.string()).nullable(),
  reason: z.string().nullable(),
  requested_by: z.string().nullable(),
});
const Holds = z.looseObject({ holds: z.array(Hold) });
const Released = z.looseObject({ hold_id: z.string(), released_at: z.string() });

export function holdCommand(terminal: Terminal): Command {
  const command = new Command('hold').description('place, list and release legal holds: what they cover is not erased');
  const ask = async <T extends z.ZodType>(options: Options, path: string, schema: T, call: Pick<Call, 'method' | 'body'>) =>
    (await connect(options, terminal)).ask(path, schema, call);
  const say = (options: Options, answer: unknown, text: string) =>
    void terminal.stdout.write(`${options.json ? printableJson(answer) : printable(text)}\n`);
  const why = (sub: Command) =>
    sub.requiredOption('--reason <text>', 'why; it is recorded').requiredOption('--requested-by <who>', 'who wants it; it is recorded');
  const json = (sub: Command) => sub.option('--json', 'print the answer as one JSON document');

  const place = json(why(connecting(new Command('place'))))
    .description('from now on nothing of a session, or of the whole tenant, is erased')
    .option('-s, --session <id>', 'this session')
    .option('--all', 'everything of the tenant')
    .addHelpText('after', PLACE_HELP)
    .action(async (options: Options) => {
      const { session, all, reason, requestedBy: requested_by } = options;
      if ((session === undefined) !== (all === true)) throw new OrchestratorError('invalid_request', 'give either --session or --all');
      const body = { reason, requested_by, ...(session !== undefined && { session_id: session }) };
      const hold = await ask(options, 'v1/holds', Hold, { method: 'POST', body });
      say(options, hold, `hold ${hold.hold_id} stands over ${session === undefined ? 'everything of the tenant' : `session ${session}`}`);
    });

  const list = json(connecting(new Command('list')))
    .description('the holds that stand')
    .addHelpText('after', `${WHERE_IT_LOOKS}\nExit codes: 0 shown · 1 usage, not reachable, or refused`)
    .action(async (options: Options) => {
      const answer = await ask(options, 'v1/holds', Holds, { method: 'GET' });
      const lines = answer.holds.map(({ hold_id, placed_at, session_id, streams, reason, requested_by }) => {
        const over = streams === null ? 'everything' : (session_id ?? streams.join(' '));
        return `${hold_id}  ${placed_at}  ${over}  ${reason ?? ''} (${requested_by ?? ''})`;
      });
      if (options.json || lines.length === 0) say(options, answer, 'no legal hold stands');
      else terminal.stdout.write(`${lines.map(printable).join('\n')}\n`);
    });

  const release = json(why(connecting(new Command('release'))))
    .description('what it covered can be erased again')
    .argument('<hold>', 'its id')
    .addHelpText('after', RELEASE_HELP)
    .action(async (hold: string, options: Options) => {
      const body = { reason: options.reason, requested_by: options.requestedBy };
      const answer = await ask(options, `v1/holds/${encodeURIComponent(hold)}/release`, Released, { method: 'POST', body });
      say(options, answer, `hold ${answer.hold_id} is released`);
    });

  for (const sub of [place, list, release]) command.addCommand(sub);
  return command;
}

const PLACE_HELP = `${WHERE_IT_LOOKS}
With REQUIRE_AUTH=true it needs a token with the scope erase.

Examples:
  agent-orchestrator hold place --session first --reason "case 12/26" --requested-by legal
  agent-orchestrator hold place --all --reason "audit 2026" --requested-by legal

Exit codes: 0 it stands · 1 usage, not reachable, or refused`;

const RELEASE_HELP = `${WHERE_IT_LOOKS}
With REQUIRE_AUTH=true it needs a token with the scope erase.

Examples:
  agent-orchestrator hold release 01M7Z0JAKBKK1K5SNPKR5JD0Y3 --reason "case closed" --requested-by legal

Exit codes: 0 released · 1 usage, not reachable, or refused`;
