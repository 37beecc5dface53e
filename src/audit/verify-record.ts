/** One record on its own: its bytes, the rules of the envelope, its hash, and the columns that repeat it. */
import { canonicalJson } from '../kernel/canonical.js';
import type { JsonValue } from '../kernel/json.js';
import { MAX_DISCLOSURES, MAX_RECORD_BYTES, recordHash } from '../ledger/record.js';
import { type Report, show } from './verify-report.js';
import type { Place } from './verify-verdict.js';

/** A row of `event`. Numbers are decimal text: damage may have taken them beyond 2^53. */
export interface EventRow {
  readonly id: string;
  readonly event_id: string;
  readonly stream: string;
  readonly seq: string;
  readonly type: string;
  readonly time: string;
  readonly task: string | null;
  readonly cause: string | null;
  readonly in_reply_to: string | null;
  readonly from_agent: string | null;
  readonly to_agent: string | null;
  readonly capability: string | null;
  readonly status: string | null;
  readonly error_code: string | null;
  readonly record: Buffer;
  readonly hash: Buffer;
}

/** A record that keeps the rules of v1; members unknown to this version included. */
export interface Envelope {
  readonly id: string;
  readonly stream: string;
  readonly seq: number;
  readonly prev: string | null;
  readonly type: string;
  readonly in_reply_to?: string;
  readonly _sd?: string[];
  readonly last_seq?: number;
  readonly last_head?: string;
  readonly from_seq?: number;
  readonly to_seq?: number;
  readonly source_hash?: string;
}

type Members = Record<string, JsonValue>;

export interface ReadRecord {
  /** Made from the bytes, whatever the column says. */
  readonly hash: Buffer;
  /** Null where the record cannot be relied on, or is of a version this one does not know. */
  readonly envelope: Envelope | null;
  readonly unknownVersion: boolean;
}

export function readRecord(row: EventRow, at: Place, report: Report): ReadRecord {
  const hash = recordHash(row.record);
  report.count('record hash');
  if (!hash.equals(row.hash)) report.invalid('record hash', at, `the record hashes to ${show(hash)}, the column hash is ${show(row.hash)}`);
  const text = row.record.toString('utf8');
  const members = parse(text, at, report);
  if (members === null) return { hash, envelope: null, unknownVersion: false };
  const { v } = members;
  if (typeof v === 'number' && v !== 1) {
    report.notChecked(`records of version ${v}`);
    return { hash, envelope: null, unknownVersion: true };
  }
  if (!isCanonicalOf(members, row.record, text))
    report.invalid('canonical bytes', at, 'the bytes of the record are not the canonical form of what they say');
  report.count('record rules');
  const broken = brokenRule(members, row.record.length);
  if (broken !== null) report.invalid('record rules', at, broken);
  compareColumns(row, members, at, report);
  return { hash, envelope: broken === null ? (members as unknown as Envelope) : null, unknownVersion: false };
}

function parse(json: string, at: Place, report: Report): Members | null {
  report.count('canonical bytes');
  try {
    const value = JSON.parse(json) as JsonValue;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Told below; the text of the SyntaxError would quote the record at length.
  }
  report.invalid('canonical bytes', at, 'the bytes of the record are not a JSON object');
  return null;
}

/**
 * `text`: the bytes, decoded. Two different byte sequences may decode to the same text, but only one of them is UTF-8: the others leave U+FFFD behind.
 * So the bytes are made and compared only where that stands; it costs as much as all the rest.
 */
export function isCanonicalOf(value: JsonValue, bytes: Buffer, text: string): boolean {
  try {
    const canonical = canonicalJson(value);
    return canonical === text && (!text.includes('\ufffd') || Buffer.from(canonical, 'utf8').equals(bytes));
  } catch {
    return false; // half a surrogate pair, or nested beyond measure: no canonical form
  }
}

const COLUMNS = [
  ['event_id', 'id'],
  ['stream', 'stream'],
  ['type', 'type'],
  ['time', 'time'],
  ['task', 'task'],
  ['cause', 'cause'],
  ['in_reply_to', 'in_reply_to'],
  ['from_agent', 'from'],
  ['to_agent', 'to'],
  ['capability', 'capability'],
  ['status', 'status'],
  ['error_code', 'error_code'],
] as const;

function compareColumns(row: EventRow, members: Members, at: Place, report: Report): void {
  report.count('columns');
  if (row.seq !== String(members['seq']))
    report.invalid('columns', at, `column seq is ${row.seq}, the record says ${show(members['seq'])}`);
  for (const [column, member] of COLUMNS) {
    const told = members[member] ?? null;
    if (row[column] !== told) report.invalid('columns', at, `column ${column} is ${show(row[column])}, the record says ${show(told)}`);
  }
}

const matching = (pattern: RegExp) => (value: JsonValue) => typeof value === 'string' && pattern.test(value);
const text = matching(/./s);
const hash = matching(/^[0-9a-f]{64}$/);
const time = matching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const positive = (value: JsonValue) => Number.isSafeInteger(value) && (value as number) > 0;
const NAME = '[a-z0-9][a-z0-9._-]{0,63}';
const ULID = '[0-7][0-9A-HJKMNP-TV-Z]{25}';

const RULES = new Map<string, (value: JsonValue) => boolean>([
  ['v', (v) => v === 1],
  ['id', matching(new RegExp(`^${ULID}$`))],
  ['stream', matching(new RegExp(`^${NAME}/(session/${ULID}|agent/${NAME}|system)$`))],
  ['seq', positive],
  ['prev', (v) => v === null || hash(v)],
  ['type', text],
  ['time', time],
  ['task', text],
  ['cause', text],
  ['in_reply_to', text],
  ['from', text],
  ['to', text],
  ['to_version', text],
  ['to_record', hash],
  ['capability', text],
  ['status', matching(/^(pending|completed|failed|cancelled)$/)],
  ['error_code', text],
  ['deadline', time],
  ['trace', matching(/^[0-9a-f]{32}$/)],
  ['replay_of', matching(new RegExp(`^${ULID}$`))],
  ['from_seq', positive],
  ['to_seq', positive],
  ['source_hash', hash],
  ['health', matching(/^(available|offline|error)$/)],
  ['breaker', matching(/^(open|closed)$/)],
  ['streams', isTextList],
  ['events', isTextList],
  ['keys', isTextList],
  ['disclosures', (v) => Array.isArray(v) && v.every(namesDisclosure)],
  ['last_seq', positive],
  ['last_head', hash],
  ['_sd_alg', (v) => v === 'sha-256'],
  ['_sd', isDigestList],
]);
const ALWAYS = ['v', 'id', 'stream', 'seq', 'prev', 'type', 'time'];
const DIGEST = /^[A-Za-z0-9_-]{43}$/;

function isTextList(value: JsonValue): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(text);
}

function namesDisclosure(value: JsonValue): boolean {
  const { event, name, digest } = (value ?? {}) as Record<string, JsonValue>;
  return text(event ?? null) && text(name ?? null) && typeof digest === 'string' && DIGEST.test(digest);
}

/** Sorted by ASCII, none twice. */
function isDigestList(value: JsonValue): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_DISCLOSURES) return false;
  return value.every((digest, i) => typeof digest === 'string' && DIGEST.test(digest) && (i === 0 || (value[i - 1] as string) < digest));
}

/** The first rule of record v1 that the members break. */
function brokenRule(members: Members, size: number): string | null {
  if (size > MAX_RECORD_BYTES) return `the record has ${size} bytes, at most ${MAX_RECORD_BYTES} are allowed`;
  for (const name of ALWAYS) if (!Object.hasOwn(members, name)) return `member ${name} is absent`;
  for (const name of Object.keys(members)) {
    const value = members[name]!;
    const rule = RULES.get(name);
    if (rule ? !rule(value) : value === null)
      return `member ${show(name)} is ${value === null ? 'null' : show(value)}, which record v1 does not allow`;
  }
  if ((members['prev'] === null) !== (members['seq'] === 1))
    return `member prev is ${show(members['prev'])} at seq ${String(members['seq'])}`;
  if (Object.hasOwn(members, '_sd') !== Object.hasOwn(members, '_sd_alg')) return 'only one of the members _sd and _sd_alg is present';
  return brokenHalf(members);
}

function brokenHalf({ type, status, in_reply_to }: Members): string | null {
  if (type === 'contract.request') {
    if (status !== 'pending') return `a REQUEST has status ${show(status)} instead of "pending"`;
    if (in_reply_to !== undefined) return `a REQUEST has in_reply_to ${show(in_reply_to)}`;
  }
  if (type === 'contract.response') {
    if (in_reply_to === undefined) return 'a RESPONSE has no in_reply_to';
    if (status === undefined || status === 'pending') return `a RESPONSE has status ${show(status)}`;
  }
  return null;
}
