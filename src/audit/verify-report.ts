/** What verify has to say: the named checks, what was found, and the verdict made of it. */
import { z } from 'zod';

/** In the order in which they are told. The first seven concern one event or stream, the others the tables around it. */
export const CHECKS = [
  'canonical bytes',
  'record rules',
  'record hash',
  'columns',
  'chain',
  'lifecycle',
  'payload digests',
  'stream heads',
  'open requests',
  'leaves',
  'sequence',
  'sessions',
] as const;
export type CheckName = (typeof CHECKS)[number];

/** Said in every verdict, so that nobody takes a pass for more than it is. */
const BEYOND_THIS_VERSION: CheckResult[] = [
  { name: 'signed checkpoints', result: 'not checked', count: 0, note: 'none in this version' },
  { name: 'completeness against an outside copy', result: 'not checked', count: 0, note: 'who can write the database can recompute it' },
];

/** Where in the ledger. `seq` and `idx` are approximate when damage took them beyond 2^53; the text of the finding is exact. */
const placeSchema = z.object({
  event_id: z.string().nullable(),
  stream: z.string().nullable(),
  seq: z.number().nullable(),
  idx: z.number().optional(),
});
export type Place = z.infer<typeof placeSchema>;

const findingSchema = placeSchema.extend({
  check: z.string(),
  /** Incomplete: something is missing and nothing explains it, but what is there holds. */
  severity: z.enum(['invalid', 'incomplete']),
  what: z.string(),
});
export type Finding = z.infer<typeof findingSchema>;

const checkResultSchema = z.object({
  name: z.string(),
  result: z.enum(['pass', 'fail', 'not checked']),
  /** How many things were looked at. */
  count: z.number(),
  note: z.string().optional(),
});
export type CheckResult = z.infer<typeof checkResultSchema>;

export const verdictSchema = z.looseObject({
  verdict: z.enum(['valid', 'invalid', 'incomplete']),
  scope: z.enum(['ledger', 'session']),
  checks: z.array(checkResultSchema),
  /** The first bad event on the way through the ledger, of the severity that decides the verdict. */
  first: findingSchema.nullable(),
  /** The first hundred, and the first of every check. */
  findings: z.array(findingSchema),
  found: z.number(),
  events: z.number(),
  streams: z.number(),
  /** REQUESTs without a RESPONSE. Normal while agents work. */
  open: z.object({ count: z.number(), first: z.array(placeSchema) }),
});
export type Verdict = z.infer<typeof verdictSchema>;

const KEPT_FINDINGS = 100;
const KEPT_OPEN = 10;
const KEPT_UNKNOWN = 20;

interface Tally {
  count: number;
  invalid: number;
  incomplete: number;
  notes: string[];
}

export class Report {
  events = 0;
  streams = 0;
  private readonly tallies = Object.fromEntries(
    CHECKS.map((name) => [name, { count: 0, invalid: 0, incomplete: 0, notes: [] }]),
  ) as unknown as Record<CheckName, Tally>;
  private readonly findings: Finding[] = [];
  private readonly firsts: Record<Finding['severity'], Finding | null> = { invalid: null, incomplete: null };
  private readonly open = { count: 0, first: [] as Place[] };
  private readonly unknown = new Map<string, number>();
  private readonly unasked = new Map<CheckName, string>();

  count(check: CheckName, n = 1): void {
    this.tallies[check].count += n;
  }

  invalid(check: CheckName, at: Place, what: string): void {
    this.find('invalid', check, at, what);
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

  verdict(scope: Verdict['scope']): Verdict {
    const first = this.firsts.invalid ?? this.firsts.incomplete;
    const unknown = [...this.unknown].map(
      ([name, count]): CheckResult => ({ name, result: 'not checked', count, note: 'unknown to this version' }),
    );
    return {
      verdict: first === null ? 'valid' : first.severity,
      scope,
      checks: [...CHECKS.map((name) => this.result(name)), ...unknown, ...BEYOND_THIS_VERSION],
      first,
      findings: this.findings,
      found: CHECKS.reduce((sum, name) => sum + this.tallies[name].invalid + this.tallies[name].incomplete, 0),
      events: this.events,
      streams: this.streams,
      open: this.open,
    };
  }

  private find(severity: Finding['severity'], check: CheckName, at: Place, what: string): void {
    const tally = this.tallies[check];
    const finding: Finding = { ...at, check, severity, what };
    if (this.findings.length < KEPT_FINDINGS || tally[severity] === 0) this.findings.push(finding);
    this.firsts[severity] ??= finding;
    tally[severity] += 1;
  }

  private result(name: CheckName): CheckResult {
    const why = this.unasked.get(name);
    if (why !== undefined) return { name, result: 'not checked', count: 0, note: why };
    const { count, invalid, incomplete, notes } = this.tallies[name];
    const told = [...(invalid > 0 ? [`${invalid} invalid`] : []), ...(incomplete > 0 ? [`${incomplete} incomplete`] : []), ...notes];
    return { name, result: invalid + incomplete > 0 ? 'fail' : 'pass', count, ...(told.length > 0 ? { note: told.join(', ') } : {}) };
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
