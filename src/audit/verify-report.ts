/** What verify has to say: the named checks, what was found, and the verdict made of it. */
import { CHECKS, type CheckName, type CheckResult, type Erased, type Finding, type Place, STEPS, type Verdict } from './verify-verdict.js';

const KEPT_FINDINGS = 100;
const KEPT_OPEN = 10;
const KEPT_UNKNOWN = 20;
const KEPT_ERASED = 100;

/** What decides when several things are wrong comes first. */
const SEVERITIES = ['invalid', 'diverged', 'incomplete'] as const;
type Severity = Finding['severity'];

interface Tally {
  count: number;
  readonly found: Record<Severity, number>;
  readonly notes: string[];
}

export interface ReportState {
  readonly events: number;
  readonly streams: number;
  readonly anchored: boolean;
  readonly unsealed: number;
  readonly tallies: Readonly<Record<CheckName, Tally>>;
  readonly findings: readonly Finding[];
  readonly firsts: Readonly<Record<Severity, Finding | null>>;
  readonly open: Verdict['open'];
  readonly gone: Verdict['erased'];
  readonly unknown: readonly (readonly [string, number])[];
}

export class Report {
  events = 0;
  streams = 0;
  anchored = false;
  private readonly tallies = Object.fromEntries(
    CHECKS.map((name) => [name, { count: 0, found: { invalid: 0, diverged: 0, incomplete: 0 }, notes: [] }]),
  ) as unknown as Record<CheckName, Tally>;
  private readonly findings: Finding[] = [];
  private readonly firsts: Record<Severity, Finding | null> = { invalid: null, diverged: null, incomplete: null };
  private unsealed = 0;
  private readonly open = { count: 0, first: [] as Place[] };
  private readonly gone: Verdict['erased'] = { events: 0, by: [] };
  private readonly unknown = new Map<string, number>();
  private readonly unasked = new Map<CheckName, string>();

  count(check: CheckName, n = 1): void {
    this.tallies[check].count += n;
  }

  invalid(check: CheckName, at: Place, what: string): void {
    this.find('invalid', check, at, what);
  }

  diverged(check: CheckName, at: Place, what: string): void {
    this.find('diverged', check, at, what);
  }

  incomplete(check: CheckName, at: Place, what: string): void {
    this.find('incomplete', check, at, what);
  }

  note(check: CheckName, note: string): void {
    this.tallies[check].notes.push(note);
  }

  /** Something this version does not know, and therefore neither passes nor fails. */
  notChecked(what: string): void {
    const known = what.length <= SHOWN && (this.unknown.has(what) || this.unknown.size < KEPT_UNKNOWN);
    const name = known ? what : 'others unknown to this version';
    this.unknown.set(name, (this.unknown.get(name) ?? 0) + 1);
  }

  notAsked(check: CheckName, why: string): void {
    this.unasked.set(check, why);
  }

  openRequest(at: Place): void {
    this.open.count += 1;
    if (this.open.first.length < KEPT_OPEN) this.open.first.push(at);
  }

  session(sealed: boolean): void {
    if (sealed) this.count('session completeness');
    else this.unsealed += 1;
  }

  /** Several times of one erasure, if what it explains is far apart. */
  erased(one: Erased): void {
    const { by } = this.gone;
    this.gone.events += one.events;
    const at = by.findIndex(({ erasure }) => erasure === one.erasure);
    if (at >= 0) by[at] = { ...one, events: by[at]!.events + one.events };
    else if (by.length < KEPT_ERASED) by.push(one);
  }

  verdict(scope: Verdict['scope']): Verdict {
    if (this.unsealed > 0) {
      const open = `${this.unsealed} not closed yet`;
      if (scope === 'ledger') this.note('session completeness', `${open}: as complete as the log is`);
      else this.notAsked('session completeness', `${open}: that nothing was cut off its end, the whole ledger must show`);
    }
    const decides = SEVERITIES.find((severity) => this.firsts[severity] !== null);
    const unknown = [...this.unknown].map(
      ([name, count]): CheckResult => ({ name, result: 'not checked', count, note: 'unknown to this version' }),
    );
    return {
      verdict: decides ?? 'valid',
      scope,
      anchored: this.anchored,
      checks: [...CHECKS.map((name) => this.result(name)), ...unknown],
      first: decides ? this.firsts[decides] : null,
      findings: this.findings,
      found: CHECKS.reduce((sum, name) => sum + SEVERITIES.reduce((n, severity) => n + this.tallies[name].found[severity], 0), 0),
      events: this.events,
      streams: this.streams,
      open: this.open,
      erased: this.gone,
    };
  }

  /** All that was found so far, as plain data that another report can absorb. */
  state(): ReportState {
    const { events, streams, anchored, unsealed, tallies, findings, firsts, open, gone, unknown } = this;
    return { events, streams, anchored, unsealed, tallies, findings, firsts, open, gone, unknown: [...unknown] };
  }

  /** What a report over other streams found. Both keep the order in which they are absorbed. */
  absorb(other: ReportState): void {
    this.events += other.events;
    this.streams += other.streams;
    this.anchored ||= other.anchored;
    this.unsealed += other.unsealed;
    for (const finding of other.findings) this.keep(finding);
    for (const name of CHECKS) {
      const [own, { count, found, notes }] = [this.tallies[name], other.tallies[name]];
      own.count += count;
      own.notes.push(...notes);
      for (const severity of SEVERITIES) own.found[severity] += found[severity];
    }
    for (const severity of SEVERITIES) this.firsts[severity] ??= other.firsts[severity];
    this.open.count += other.open.count;
    this.open.first.push(...other.open.first.slice(0, KEPT_OPEN - this.open.first.length));
    const told = other.gone.by.reduce((sum, { events }) => sum + events, 0);
    for (const one of other.gone.by) this.erased(one);
    this.gone.events += other.gone.events - told;
    for (const [name, count] of other.unknown) this.unknown.set(name, (this.unknown.get(name) ?? 0) + count);
  }

  private find(severity: Severity, check: CheckName, at: Place, what: string): void {
    const finding = { ...at, check, severity, what };
    this.keep(finding);
    this.firsts[severity] ??= finding;
    this.tallies[check].found[severity] += 1;
  }

  private keep(finding: Finding): void {
    const { found } = this.tallies[finding.check as CheckName];
    if (this.findings.length < KEPT_FINDINGS || found[finding.severity] === 0) this.findings.push(finding);
  }

  private result(name: CheckName): CheckResult {
    const step = STEPS[name];
    const { count, found, notes } = this.tallies[name];
    const bad = SEVERITIES.filter((severity) => found[severity] > 0);
    const why = this.unasked.get(name);
    const told = [...bad.map((severity) => `${found[severity]} ${severity}`), ...notes, ...(why === undefined ? [] : [why])];
    const result = bad.length > 0 ? 'fail' : why === undefined ? 'pass' : 'not checked';
    return { step, name, result, count, ...(told.length > 0 ? { note: told.join(', ') } : {}) };
  }
}

const SHOWN = 100;

/** A value inside a finding: quoted and bounded. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (value instanceof Uint8Array) return value.length === 0 ? 'empty' : show(Buffer.from(value).toString('hex'));
  const text = JSON.stringify(value);
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}…`;
}
