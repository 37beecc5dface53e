/** `agent-orchestrator verify`: who reads the ledger is the caller's business; here it is told, on a terminal or as JSON. */
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import { type Colours, coloursOf, type Output, type Terminal } from '../kernel/terminal.system.js';
import type { VerifyMessage, VerifyProgress, VerifyScope } from './verify.js';
import type { CheckResult, Finding, Place, Verdict } from './verify-report.js';

export interface VerifyOptions {
  readonly session?: string;
  readonly tenant?: string;
  readonly json?: boolean;
}

/** The ledger itself (`verifyLedger`), or the server that holds it (`readMessages`). */
export type VerifySource = (scope: VerifyScope) => AsyncIterable<VerifyMessage>;

/** Could not be done, or was asked for wrongly. */
const USAGE = 1;
const PROGRESS_MS = 100;
const SHOWN_FINDINGS = 10;

/** 0: everything that was asked for passed. */
export function exitCodeOf({ verdict }: Pick<Verdict, 'verdict'>): number {
  return { valid: 0, invalid: 2, incomplete: 4 }[verdict];
}

/** Never throws; returns the exit code. */
export async function verifyCommand(options: VerifyOptions, source: VerifySource, terminal: Terminal = process): Promise<number> {
  const { stdout, stderr, env } = terminal;
  try {
    const verdict = await follow(source(scopeOf(options)), stderr);
    stdout.write(options.json ? `${printableJson(verdict)}\n` : renderVerdict(verdict, coloursOf(stdout, env)));
    return exitCodeOf(verdict);
  } catch (error) {
    stderr.write(`agent-orchestrator verify: ${printable((error as Error).message)}\n`);
    return USAGE;
  }
}

function scopeOf({ session, tenant }: VerifyOptions): VerifyScope {
  if (session !== undefined) return { session: { tenant: tenant ?? 'default', name: session } };
  if (tenant !== undefined) throw new OrchestratorError('invalid_request', '--tenant says whose session is meant: give --session too');
  return {};
}

async function follow(messages: AsyncIterable<VerifyMessage>, stderr: Output): Promise<Verdict> {
  const since = performance.now();
  let shown = since;
  let verdict: Verdict | undefined;
  try {
    for await (const message of messages) {
      if ('verdict' in message) verdict = message;
      else if (stderr.isTTY && performance.now() - shown >= PROGRESS_MS) {
        shown = performance.now();
        stderr.write(`\r${renderProgress(message, (shown - since) / 1000)}\x1b[K`);
      }
    }
  } finally {
    if (shown !== since) stderr.write('\r\x1b[K');
  }
  if (verdict === undefined) throw new OrchestratorError('ledger_unavailable', 'the answer ended before the verdict; try again');
  return verdict;
}

export function renderProgress({ done, total }: VerifyProgress, seconds: number): string {
  const share = total === 0 ? 100 : Math.floor((100 * done) / total);
  return `verifying: ${share} %, ${number(done)} of ${number(total)} events, ${number(Math.round(done / seconds))} events/s`;
}

export function renderVerdict(verdict: Verdict, colours: Colours): string {
  const { scope, events, streams, checks, open } = verdict;
  const width = Math.max(...checks.map((check) => check.name.length));
  const lines = [
    `${scope === 'ledger' ? 'Ledger' : 'Session'}: ${number(events)} events in ${number(streams)} streams`,
    '',
    ...checks.map((check) => renderCheck(check, width, colours)),
    '',
    ...(open.count > 0 ? [`REQUESTs without a RESPONSE: ${number(open.count)}`, ...open.first.map((at) => `  ${where(at)}`), ''] : []),
    ...renderFindings(verdict),
    renderOutcome(verdict, colours),
  ];
  return `${lines.join('\n')}\n`;
}

function renderCheck({ name, result, count, note }: CheckResult, width: number, colours: Colours): string {
  const colour = { pass: colours.green, fail: colours.red, 'not checked': colours.yellow }[result];
  const counted = count === 0 && result === 'not checked' ? '' : number(count);
  return `  ${colour(result.padEnd(11))}  ${printable(name).padEnd(width)}  ${counted.padStart(11)}  ${printable(note ?? '')}`.trimEnd();
}

function renderFindings({ findings, found }: Verdict): string[] {
  if (found === 0) return [];
  const shown = findings.slice(0, SHOWN_FINDINGS);
  const more = found - shown.length;
  const rest = more > 0 ? [`  and ${number(more)} more${findings.length > shown.length ? ' (--json tells more of them)' : ''}`] : [];
  return ['Findings:', ...shown.flatMap((finding) => renderFinding(finding)), ...rest, ''];
}

const renderFinding = (finding: Finding) => [
  `  ${where(finding)}`,
  `    ${finding.check} (${finding.severity}): ${printable(finding.what)}`,
];

function renderOutcome({ verdict, first }: Verdict, colours: Colours): string {
  if (first === null) return colours.green('VALID');
  const told = `${verdict.toUpperCase()}: first at ${where(first)}: ${first.check}: ${printable(first.what)}`;
  return verdict === 'invalid' ? colours.red(told) : colours.yellow(told);
}

function where({ event_id, stream, seq, idx }: Place): string {
  const parts = [
    ...(event_id === null ? [] : [`event ${event_id}`]),
    ...(stream === null ? [] : [`${stream}${seq === null ? '' : ` seq ${seq}`}`]),
    ...(idx === undefined ? [] : [`leaf ${idx}`]),
  ];
  return parts.length > 0 ? printable(parts.join(', ')) : 'the tables';
}

const number = (n: number) => n.toLocaleString('en-US');
