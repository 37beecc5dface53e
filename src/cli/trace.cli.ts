/** `agent-orchestrator trace`: how the forwarding to Trace is, what waits, sending again, and comparing Trace with the ledger. */
import { Command } from 'commander';
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import { coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { type ConnectOptions, connect, connecting, WHERE_IT_LOOKS } from './connect.cli.js';
import { wholeNumber } from './option-values.cli.js';
import { TraceAudit, TraceReplayed, TraceRetried, TraceStatus } from './orchestrator.schema.js';

interface Options extends ConnectOptions {
  readonly session?: string;
  readonly from?: number;
  readonly json?: boolean;
}

const EXIT = { same: 0, different: 2, missing: 4 };
const NEEDS = 'With REQUIRE_AUTH=true it needs a token with the scope audit.';

export function traceCommand(terminal: Terminal): Command {
  const command = new Command('trace').description('look after the forwarding of contracts to Trace');
  const sub = (name: string, description: string, act: (options: Options) => Promise<void>) => {
    const own = connecting(new Command(name)).description(description).option('--json', 'print the answer as one JSON document');
    command.addCommand(own.action(act));
    return own;
  };
  const say = (options: Options, answer: unknown, text: string) =>
    void terminal.stdout.write(`${options.json ? printableJson(answer) : text}\n`);

  sub('status', 'how far it is, what it waits for, and which sessions are parked', async (options) => {
    const answer = await (await connect(options, terminal)).trace(null, TraceStatus);
    say(options, answer, renderStatus(answer, terminal));
  }).addHelpText('after', `${WHERE_IT_LOOKS}\n${NEEDS}\n\nExit codes: 0 shown · 1 usage, not reachable, or refused`);

  sub('retry-parked', 'try parked sessions again, from the event each waits at', async (options) => {
    const body = options.session === undefined ? {} : { session_id: options.session };
    const answer = await (await connect(options, terminal)).trace('retry-parked', TraceRetried, body);
    say(options, answer, `${answer.retried} parked ${answer.retried === 1 ? 'session is' : 'sessions are'} tried now`);
  })
    .option('-s, --session <id>', 'only this session')
    .addHelpText('after', `${WHERE_IT_LOOKS}\n${NEEDS}\n\nExit codes: 0 asked for · 1 usage, not reachable, or refused`);

  sub('replay', 'send a session, or everything from a place on, to Trace again', async (options) => {
    const { session, from } = options;
    if ((session === undefined) === (from === undefined)) throw new OrchestratorError('invalid_request', 'give either --session or --from');
    const body = session === undefined ? { from } : { session_id: session };
    const answer = await (await connect(options, terminal)).trace('replay', TraceReplayed, body);
    say(options, answer, `${answer.events} events of the ledger are passed again`);
  })
    .option('-s, --session <id>', 'this session, from its first event on')
    .option('--from <idx>', 'everything from this place in the global order on; 0 is the beginning', wholeNumber)
    .addHelpText('after', REPLAY_HELP);

  sub('audit', 'compare what Trace holds of a session with the ledger', async (options) => {
    const answer = await (await connect(options, terminal)).trace('audit', TraceAudit, { session_id: options.session });
    say(options, answer, renderAudit(answer, terminal));
    process.exitCode = EXIT[answer.verdict];
  })
    .requiredOption('-s, --session <id>', 'which session')
    .addHelpText('after', AUDIT_HELP);
  return command;
}

const REPLAY_HELP = `${WHERE_IT_LOOKS}
${NEEDS} It is safe: the events have the ids they had, and whoever receives them dedupes by data.event_id.

Examples:
  agent-orchestrator trace replay --session first
  agent-orchestrator trace replay --from 0           # also what happened before Trace was connected

Exit codes: 0 it begins now · 1 usage, not reachable, or refused`;

const AUDIT_HELP = `${WHERE_IT_LOOKS}
${NEEDS} The server reads the session back from Trace.

Examples:
  agent-orchestrator trace audit --session first
  agent-orchestrator trace audit --session first --json | jq .missing

Exit codes: 0 the same · 2 different · 4 missing, and nothing different · 1 usage, or it could not be done`;

function renderStatus(status: TraceStatus, { stdout, env }: Terminal): string {
  const { dim, green, red, yellow } = coloursOf(stdout, env);
  if (status.status === 'off') return 'off: no Trace is connected (TRACE_URL)';
  const colour = status.status === 'healthy' ? green : status.status === 'degraded' ? yellow : red;
  const row = (name: string, text: string) => `  ${dim(name.padEnd(8))} ${printable(text)}`;
  const streams = status.waiting_streams.map(({ session_id, stream, since, tries, retry_at, error }) =>
    row('', `${session_id ?? stream} since ${since}, ${tries} tries, ${retry_at === null ? 'parked' : 'tried again'}: ${error}`),
  );
  return [
    `${colour(printable(status.status))}  ${printable(status.url ?? '')}`,
    row('lag', `${status.lag ?? 0} events, ${(status.lag_seconds ?? 0).toFixed(1)} s`),
    row('breaker', status.breaker ?? '-'),
    row('error', status.last_error ?? 'none'),
    row('sessions', `${status.parked ?? 0} parked, ${status.retrying ?? 0} tried again`),
    ...streams,
  ].join('\n');
}

function renderAudit(audit: TraceAudit, { stdout, env }: Terminal): string {
  const { green, red, yellow } = coloursOf(stdout, env);
  const colour = { same: green, different: red, missing: yellow }[audit.verdict];
  const at = ({ event_id, seq }: { event_id: string | null; seq?: number | undefined }) =>
    `${event_id ?? 'without an id'}${seq === undefined ? '' : ` seq ${seq}`}`;
  const findings = [
    ...audit.missing.map((one) => `missing    ${at(one)} (${one.why})`),
    ...audit.different.map((one) => `different  ${at(one)}: ${one.fields.join(', ')}`),
    ...audit.misplaced.map((one) => `misplaced  ${at(one)}`),
    ...audit.unknown.map((one) => `unknown    ${at(one)} ${one.event_type}`),
    ...audit.repeated.map((one) => `repeated   ${at(one)}, ${one.times} times`),
  ];
  const more = Object.values(audit.found).reduce((sum, n) => sum + n, 0) - findings.length;
  return [
    `${colour(audit.verdict.toUpperCase())}: ${audit.events} events in the ledger, ${audit.held} at Trace`,
    ...findings.map((line) => `  ${printable(line)}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ].join('\n');
}
