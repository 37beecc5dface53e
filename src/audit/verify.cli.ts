/** `agent-orchestrator verify`: who reads the ledger is the caller's business; here it is told, on a terminal or as JSON. */
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import { type Colours, coloursOf, type Output, type Terminal } from '../kernel/terminal.system.js';
import type { VerifyMessage, VerifyProgress, VerifyScope } from './verify.js';
import type { KnownCheckpoint } from './verify-tree.js';
import type { CheckResult, Finding, Place, Verdict } from './verify-verdict.js';

export interface VerifyOptions {
  readonly session?: string;
  readonly tenant?: string;
  readonly from?: number;
  readonly to?: number;
  readonly keys?: readonly string[] | undefined;
  readonly known?: readonly KnownCheckpoint[] | undefined;
  /** Not to be anchored is a failure. */
  readonly anchored?: boolean;
  readonly json?: boolean;
}

/** The ledger itself (`verifyLedger`), or the server that holds it (`readMessages`). */
export type VerifySource = (scope: VerifyScope) => AsyncIterable<VerifyMessage>;

/** Could not be done, or was asked for wrongly. */
const USAGE = 1;
const UNANCHORED = 5;
const PROGRESS_MS = 100;
const SHOWN_FINDINGS = 10;

/** 0: everything that was asked for passed. */
export function exitCodeOf({ verdict, anchored }: Pick<Verdict, 'verdict' | 'anchored'>, mustBeAnchored = false): number {
  if (verdict === 'valid' && mustBeAnchored && !anchored) return UNANCHORED;
  return { valid: 0, invalid: 2, diverged: 3, incomplete: 4 }[verdict];
}

/** Never throws; returns the exit code. */
export async function verifyCommand(options: VerifyOptions, source: VerifySource, terminal: Terminal = process): Promise<number> {
  const { stdout, stderr, env } = terminal;
  try {
    const verdict = await follow(source(scopeOf(options)), stderr);
    stdout.write(options.json ? `${printableJson(verdict)}\n` : renderVerdict(verdict, coloursOf(stdout, env), options.anchored));
    return exitCodeOf(verdict, options.anchored);
  } catch (error) {
    stderr.write(`agent-orchestrator verify: ${printable((error as Error).message)}\n`);
    return USAGE;
  }
}

function scopeOf({ session, tenant, from, to, keys = [], known = [] }: VerifyOptions): VerifyScope {
  const outside = { ...(keys.length > 0 && { keys }), ...(known.length > 0 && { known }) };
  if (session !== undefined && (from ?? to) !== undefined)
    throw new OrchestratorError('invalid_request', '--from and --to are places in the order of all sessions: leave out --session');
  if (session !== undefined) return { session: { tenant: tenant ?? 'default', name: session }, ...outside };
  if (tenant !== undefined) throw new OrchestratorError('invalid_request', '--tenant says whose session is meant: give --session too');
  if (from === undefined && to === undefined) return outside;
  return { range: { from: from ?? 0, to: to ?? Number.MAX_SAFE_INTEGER }, ...outside };
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

export function renderVerdict(verdict: Verdict, colours: Colours, mustBeAnchored = false): string {
  const { scope, events, streams, checks, open, erased } = verdict;
  const width = Math.max(...checks.map((check) => check.name.length));
  const lines = [
    `${scope[0]!.toUpperCase()}${scope.slice(1)}: ${number(events)} events in ${number(streams)} streams`,
    '',
    ...checks.map((check) => renderCheck(check, width, colours)),
    '',
    ...(open.count > 0 ? [`REQUESTs without a RESPONSE: ${number(open.count)}`, ...open.first.map((at) => `  ${where(at)}`), ''] : []),
    ...(erased.events > 0 ? [`ERASED, and explained: the payload of ${number(erased.events)} events`, ...renderErased(erased), ''] : []),
    ...renderFindings(verdict),
    renderOutcome(verdict, colours, mustBeAnchored),
  ];
  return `${lines.join('\n')}\n`;
}

function renderCheck({ step, name, result, count, note }: CheckResult, width: number, colours: Colours): string {
  const colour = { pass: colours.green, fail: colours.red, 'not checked': colours.yellow }[result];
  const counted = count === 0 && result === 'not checked' ? '' : number(count);
  return `  ${colour(result.padEnd(11))}  ${String(step ?? '').padStart(2)}  ${printable(name).padEnd(width)}  ${counted.padStart(11)}  ${printable(note ?? '')}`.trimEnd();
}

function renderErased({ by, events }: Verdict['erased']): string[] {
  const lines = by
    .slice(0, SHOWN_FINDINGS)
    .map(
      ({ erasure, basis, events: n }) => `  ${number(n)} by ${erasure}: ${basis === null ? 'its reason cannot be read any more' : basis}`,
    );
  const told = by.slice(0, SHOWN_FINDINGS).reduce((sum, one) => sum + one.events, 0);
  return [...lines.map(printable), ...(events > told ? [`  and ${number(events - told)} more (--json tells more of them)`] : [])];
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

function renderOutcome({ verdict, first, anchored }: Verdict, colours: Colours, mustBeAnchored: boolean): string {
  if (first !== null) {
    const told = `${verdict.toUpperCase()}: first at ${where(first)}: ${first.check}: ${printable(first.what)}`;
    return verdict === 'incomplete' ? colours.yellow(told) : colours.red(told);
  }
  if (mustBeAnchored && !anchored) return colours.yellow('UNANCHORED: no key and no checkpoint from outside vouches for all of it');
  return colours.green('VALID');
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
