#!/usr/bin/env node
/**
 * Checks a bundle that was exported from Agent Orchestrator, with plain Node (20 or newer): no package, no network, no other file.
 *
 *   node verify.mjs [DIRECTORY] [--key VKEY]... [--known CHECKPOINT]... [--anchored] [--json]
 *
 * Whoever forges a bundle can forge the verifier in it too. Take this file from a place you trust, or read it: it is one file on purpose.
 *
 * record      RFC 8785 canonical JSON; its hash, SHA-256(0x00 || bytes), is the leaf of the log and the next record's `prev`
 * disclosure  RFC 9901: the bytes of [salt, name, value], bound to a record by a digest in its `_sd`
 * proof       C2SP tlog-proof, RFC 9162 section 2.1.3; named after the hash of the leaf it is about
 * checkpoint  C2SP tlog-checkpoint in a signed note, Ed25519
 */
import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';
import { createReadStream, realpathSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const FORMAT = 'agent-orchestrator bundle v1';
const CHECKS = [
  [1, 'canonical bytes'],
  [1, 'record rules'],
  [2, 'record hash'],
  [3, 'chain'],
  [4, 'lifecycle'],
  [5, 'inclusion'],
  [6, 'checkpoint'],
  [7, 'known checkpoints'],
  [8, 'log completeness'],
  [9, 'payload digests'],
  [10, 'session completeness'],
];
const MAX_RECORD_BYTES = 60 * 1024;
const KEPT_FINDINGS = 100;
/** What decides when several things are wrong. */
const SEVERITIES = ['invalid', 'diverged', 'incomplete'];
const EXIT = { valid: 0, invalid: 2, diverged: 3, incomplete: 4 };
const UNANCHORED = 5;
const USAGE = 1;

// ---------------------------------------------------------------------------------------------------------------- hashes and trees

const [ZERO, ONE] = [Buffer.from([0]), Buffer.from([1])];
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const leafHash = (bytes) => sha256(ZERO, bytes);
const nodeHash = (left, right) => sha256(ONE, left, right);

/** RFC 8785: members sorted by UTF-16 code units; numbers and strings as ECMAScript writes them. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

const isCanonical = (value, bytes) => Buffer.from(canonical(value), 'utf8').equals(bytes);

/** RFC 9162 section 2.1.3.2, all but the last comparison: the root that the proof leads to, or null. */
export function rootOfInclusion({ index, size, path }, leaf) {
  if (index >= size) return null;
  let [fn, sn, root] = [index, size - 1n, leaf];
  for (const hash of path) {
    if (sn === 0n) return null;
    if (fn % 2n === 1n || fn === sn) {
      root = nodeHash(hash, root);
      for (; fn % 2n === 0n && fn !== 0n; fn /= 2n) sn /= 2n;
    } else root = nodeHash(root, hash);
    fn /= 2n;
    sn /= 2n;
  }
  return sn === 0n ? root : null;
}

/** RFC 9162 section 2.1.4.2: whether a tree of `from` leaves is the beginning of the one of `to` leaves. */
export function isConsistent(from, to, path) {
  if (from.size > to.size || from.size === 0n) return false;
  if (from.size === to.size) return path.length === 0 && from.root.equals(to.root);
  if (path.length === 0) return false;
  let [fn, sn] = [from.size - 1n, to.size - 1n];
  for (; fn % 2n === 1n; fn /= 2n) sn /= 2n;
  const [first, ...rest] = (from.size & (from.size - 1n)) === 0n ? [from.root, ...path] : path;
  let [fr, sr] = [first, first];
  for (const hash of rest) {
    if (sn === 0n) return false;
    if (fn % 2n === 1n || fn === sn) {
      fr = nodeHash(hash, fr);
      sr = nodeHash(hash, sr);
      for (; fn % 2n === 0n && fn !== 0n; fn /= 2n) sn /= 2n;
    } else sr = nodeHash(sr, hash);
    fn /= 2n;
    sn /= 2n;
  }
  return sn === 0n && fr.equals(from.root) && sr.equals(to.root);
}

/**
 * The root over `size` leaves of which those from `from` on are `leaves`: the nodes left of them stand in the proof of the first leaf, the
 * nodes right of them in the proof of the last. So nothing can be left out between the two.
 */
export function rootOfRange(from, leaves, size, proofs) {
  const beside = new Map();
  for (const { index, path } of proofs) {
    let [low, high] = [0, size];
    for (const hash of [...path].reverse()) {
      const middle = low + leftLeaves(high - low);
      beside.set(index < middle ? `${middle}-${high}` : `${low}-${middle}`, hash);
      if (index < middle) high = middle;
      else low = middle;
    }
  }
  const root = (low, high) => {
    if (high <= from || low >= from + leaves.length) return beside.get(`${low}-${high}`);
    if (high - low === 1) return leaves[low - from];
    const middle = low + leftLeaves(high - low);
    return nodeHash(root(low, middle), root(middle, high));
  };
  return root(0, size);
}

/** The largest power of two below n. */
function leftLeaves(n) {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

// ------------------------------------------------------------------------------------------------- signed notes, checkpoints, proofs

const refuse = (why) => {
  throw new SyntaxError(why);
};
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');

function base64(text, bytes) {
  const decoded = Buffer.from(text, 'base64');
  if (decoded.toString('base64') !== text || (bytes && decoded.length !== bytes))
    refuse(`${JSON.stringify(text)} is not base64 of ${bytes ?? 'any'} bytes`);
  return decoded;
}

const decimal = (text) => (/^(0|[1-9]\d{0,18})$/.test(text) ? BigInt(text) : refuse(`${JSON.stringify(text)} is no size or index`));

/** C2SP signed note: name, four bytes of key id, and either a log's Ed25519 key (type 1) or a witness's (type 4). */
export function readKey(vkey) {
  const [, name, id, data] =
    /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(vkey) ?? refuse(`${JSON.stringify(vkey)} is no verifier key: <name>+<id>+<key>`);
  const key = base64(data, 33);
  const type = key[0];
  if (type !== 1 && type !== 4) refuse(`the key of ${name} has type ${type}, known are 1 (Ed25519) and 4 (cosignature)`);
  if (sha256(`${name}\n`, key).subarray(0, 4).toString('hex') !== id) refuse(`the key of ${name} does not have the id ${id}`);
  return { name, id, type, key: createPublicKey({ key: Buffer.concat([SPKI_ED25519, key.subarray(1)]), format: 'der', type: 'spki' }) };
}

export function readCheckpoint(text) {
  const end = text.lastIndexOf('\n\n');
  if (end < 0 || !text.endsWith('\n')) refuse('it is no signed note');
  const body = text.slice(0, end + 1);
  const signatures = text.slice(end + 2, -1).split('\n');
  const [origin, size, root] = body.split('\n');
  if (!origin) refuse('a checkpoint names its origin');
  return {
    body,
    origin,
    size: decimal(size ?? ''),
    root: base64(root ?? '', 32),
    signatures: signatures.map((line) => {
      const [, name, value] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? refuse(`${JSON.stringify(line)} is no signature`);
      const bytes = base64(value);
      return { name, id: bytes.subarray(0, 4).toString('hex'), value: bytes.subarray(4) };
    }),
  };
}

/** Null: there is no signature of this key. */
export function signedBy({ body, signatures }, { name, id, type, key }) {
  const found = signatures.find((signature) => signature.name === name && signature.id === id);
  if (!found) return null;
  if (type === 1) return verifySignature(null, Buffer.from(body), key, found.value);
  const time = found.value.length === 72 ? found.value.readBigUInt64BE() : 0n;
  return verifySignature(null, Buffer.from(`cosignature/v1\ntime ${time}\n${body}`), key, found.value.subarray(8));
}

/** C2SP tlog-proof: index, path, and the checkpoint it is against, word for word. */
export function readProof(text) {
  const end = text.indexOf('\n\n');
  const [head, ...lines] = text.slice(0, Math.max(end, 0)).split('\n');
  if (head !== 'c2sp.org/tlog-proof@v1') refuse('it is no tlog-proof');
  if (lines[0]?.startsWith('extra ')) lines.shift();
  const [, index] = /^index (\S+)$/.exec(lines.shift() ?? '') ?? refuse('the proof has no index');
  return { index: decimal(index), path: lines.map((line) => base64(line, 32)), checkpoint: text.slice(end + 2) };
}

// ------------------------------------------------------------------------------------------------------------------------- report

class Report {
  tallies = new Map(CHECKS.map(([, name]) => [name, { count: 0, invalid: 0, diverged: 0, incomplete: 0, notes: [], why: null }]));
  firsts = { invalid: null, diverged: null, incomplete: null };
  findings = [];
  unknown = new Map();
  /** Ends of runs of records that no proof covers. */
  unproven = [];

  count(check, n = 1) {
    this.tallies.get(check).count += n;
  }

  note(check, text) {
    this.tallies.get(check).notes.push(text);
  }

  /** Neither passes nor fails, and says why. */
  notChecked(check, why) {
    this.tallies.get(check).why = why;
  }

  /** Not known to this version. */
  skip(what) {
    this.unknown.set(what, (this.unknown.get(what) ?? 0) + 1);
  }

  find(severity, check, at, what) {
    const tally = this.tallies.get(check);
    const finding = { event_id: null, stream: null, seq: null, ...at, check, severity, what };
    if (this.findings.length < KEPT_FINDINGS || tally[severity] === 0) this.findings.push(finding);
    this.firsts[severity] ??= finding;
    tally[severity] += 1;
  }

  result([step, name]) {
    const { count, notes, why, ...found } = this.tallies.get(name);
    const bad = SEVERITIES.filter((severity) => found[severity] > 0);
    const told = [...bad.map((severity) => `${found[severity]} ${severity}`), ...notes, ...(why === null ? [] : [why])];
    const result = bad.length > 0 ? 'fail' : why === null ? 'pass' : 'not checked';
    return { step, name, result, count, ...(told.length > 0 && { note: told.join('; ') }) };
  }

  verdict(facts) {
    const decides = SEVERITIES.find((severity) => this.firsts[severity] !== null);
    const unknown = [...this.unknown].map(([name, count]) => ({
      step: 1,
      name,
      result: 'not checked',
      count,
      note: 'unknown to this version',
    }));
    return {
      verdict: decides ?? 'valid',
      scope: 'bundle',
      ...facts,
      checks: [...CHECKS.map((check) => this.result(check)), ...unknown],
      first: decides ? this.firsts[decides] : null,
      findings: this.findings,
      found: [...this.tallies.values()].reduce((sum, tally) => sum + tally.invalid + tally.diverged + tally.incomplete, 0),
    };
  }
}

const tenantOf = (stream) => stream.slice(0, stream.indexOf('/'));

const quote = (value) => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= 100 ? text : `${text.slice(0, 100)}...`;
};

// ------------------------------------------------------------------------------------------------------------------------ records

const HEX = /^[0-9a-f]{64}$/;
const RULES = {
  id: (value) => /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(value),
  stream: (value) => /^[a-z0-9][a-z0-9._-]*\/(session|agent)\/\S+$|^[a-z0-9][a-z0-9._-]*\/system$/.test(value),
  seq: (value) => Number.isSafeInteger(value) && value > 0,
  prev: (value, { seq }) => (seq === 1 ? value === null : HEX.test(value)),
  type: (value) => typeof value === 'string' && value !== '',
  time: (value) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value),
};
const DIGEST = /^[A-Za-z0-9_-]{43}$/;
const isDigestList = (list) =>
  Array.isArray(list) && list.length > 0 && list.every((digest, i) => DIGEST.test(digest) && (i === 0 || list[i - 1] < digest));

/** The members of a record that keeps the rules, else null. */
function readRecord(bytes, at, report) {
  report.count('canonical bytes');
  let members;
  try {
    members = JSON.parse(bytes.toString('utf8'));
  } catch {
    members = null;
  }
  if (typeof members !== 'object' || members === null || !isCanonical(members, bytes)) {
    report.find('invalid', 'canonical bytes', at, 'the bytes of the record are not JSON in canonical form');
    return null;
  }
  if (typeof members.v === 'number' && members.v !== 1) {
    report.skip(`records of version ${members.v}`);
    return null;
  }
  report.count('record rules');
  const broken = Object.keys(RULES).find((name) => !RULES[name](members[name], members));
  const faults = [
    ...(members.v !== 1 ? ['member v is not 1'] : []),
    ...(broken ? [`member ${broken} is ${quote(members[broken])}`] : []),
    ...('_sd' in members && !(isDigestList(members._sd) && members._sd_alg === 'sha-256')
      ? ['_sd is no sorted list of SHA-256 digests']
      : []),
    ...(bytes.length > MAX_RECORD_BYTES ? [`the record has ${bytes.length} bytes`] : []),
  ];
  for (const fault of faults) report.find('invalid', 'record rules', { ...at, event_id: members.id ?? null }, fault);
  return faults.length === 0 ? members : null;
}

const KNOWN =
  /^(contract\.(request|response)|session\.(closed|compressed)|agent\.\w+|payload\.erased|hold\.(placed|released)|log\.started)$/;

/** One stream, in the order of seq: its links, and the life of its contracts. */
class Stream {
  last = null;
  sealedAt = null;
  /** Something before or between what is here is not here. */
  gaps = false;
  /** Records since the last one that has a proof. */
  unproven = 0;
  open = new Map();

  constructor(name, whole, report) {
    Object.assign(this, { name, whole, report });
  }

  take(record, hash, proven) {
    const at = { event_id: record.id, stream: this.name, seq: record.seq };
    this.link(record, at);
    this.live(record, at);
    this.last = { id: record.id, seq: record.seq, hash };
    this.unproven = proven ? 0 : this.unproven + 1;
  }

  link({ seq, prev }, at) {
    const { report, last } = this;
    report.count('chain');
    const expected = last === null ? 1 : last.seq + 1;
    if (seq === expected) {
      if (last !== null && prev !== last.hash)
        report.find('invalid', 'chain', at, `prev is ${quote(prev)}, but seq ${last.seq} hashes to ${last.hash}`);
    } else if (seq < expected) report.find('invalid', 'chain', at, `seq ${seq} comes after seq ${last.seq}`);
    else {
      this.endRun();
      this.gaps = true;
      if (this.whole === 'all' || (this.whole === 'run' && last !== null)) {
        report.find('invalid', 'chain', { ...at, event_id: null, seq: expected }, `seq ${expected} to ${seq - 1} are missing`);
      }
    }
  }

  live({ type, id, in_reply_to, seq, prev, last_seq, last_head }, at) {
    const { report, open } = this;
    const wrong = (what) => report.find('invalid', 'lifecycle', at, what);
    if (!KNOWN.test(type)) {
      report.skip(`lifecycle of type ${quote(type)}`);
      return;
    }
    report.count('lifecycle');
    if (type.startsWith('contract.') && this.sealedAt !== null) wrong(`a ${type} follows session.closed at seq ${this.sealedAt}`);
    if (type === 'contract.request') open.set(id, seq);
    if (type === 'contract.response' && !open.delete(in_reply_to) && !this.gaps)
      wrong(`a RESPONSE to ${quote(in_reply_to)}, which is no open REQUEST`);
    if (type !== 'session.closed') return;
    if (this.sealedAt !== null) wrong(`session.closed a second time, after seq ${this.sealedAt}`);
    if (open.size > 0 && !this.gaps) wrong(`session.closed while ${open.size} REQUESTs are open`);
    if (seq > 1 && (last_seq !== seq - 1 || last_head !== prev)) wrong('session.closed names another last record than its prev');
    this.sealedAt = seq;
  }

  /** What is linked to a proven record is proven by it; what comes after the last proven one is not. */
  endRun() {
    if (this.unproven > 0 && this.last !== null) {
      const at = { event_id: this.last.id, stream: this.name, seq: this.last.seq };
      this.report.unproven.push({ at, count: this.unproven });
    }
    this.unproven = 0;
  }
}

/** The lines of a file, as bytes. */
async function* linesOf(path) {
  let rest = [];
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      yield Buffer.concat([...rest, chunk.subarray(start, end)]);
      rest = [];
      start = end + 1;
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
  if (rest.length > 0) yield Buffer.concat(rest);
}

// ------------------------------------------------------------------------------------------------------------------------- bundle

class Bundle {
  report = new Report();
  streams = new Map();
  /** Digest in `_sd` -> the record it stands in. */
  wanted = new Map();
  /** Stream, event id or digest -> the payload.erased records that name it: id, tenant, and place in the log if that is proven. */
  erasures = new Map();
  /** Stream -> seq and index of its records whose place in the log is proven. */
  places = new Map();
  reached = new Map();
  /** Hashes of the records of agents in here, and of those that REQUESTs name. */
  agents = new Map();
  named = new Map();
  /** Hash of a leaf -> its proof, and the hashes of all that is in here. */
  proofs = new Map();
  present = new Set();
  /** Hashes of a range of leaves that are proven together -> their places. */
  leaves = new Map();
  checkpoint = null;
  /** Something from outside the bundle vouches for its checkpoint. */
  anchored = false;
  /** Events of which something is erased, by the records that say so. */
  erased = { events: 0, by: [] };
  records = 0;

  constructor(directory, { keys = [], known = [] }) {
    Object.assign(this, { directory, keys: keys.map(readKey), known });
  }

  async verify() {
    this.manifest = await this.readManifest();
    await this.readCheckpoint();
    await this.readProofs();
    await this.checkKnown();
    await this.readLeaves();
    await this.readRecords();
    await this.readContext();
    await this.readDisclosures();
    this.endAgents();
    this.endInclusion();
    this.endSessions();
    const { scope, made_at, only } = this.manifest;
    const open = [...this.streams.values()].flatMap((stream) =>
      [...stream.open].map(([event_id, seq]) => ({ event_id, stream: stream.name, seq })),
    );
    return this.report.verdict({
      anchored: this.anchored,
      bundle: { scope, made_at, only },
      events: this.records,
      streams: this.streams.size,
      open: { count: open.length, first: open.slice(0, 10) },
      erased: this.erased,
    });
  }

  file(...names) {
    return join(this.directory, ...names);
  }

  async readManifest() {
    const manifest = JSON.parse(await readFile(this.file('manifest.json'), 'utf8'));
    if (manifest.format !== FORMAT) refuse(`manifest.json says format ${quote(manifest.format)}, this verifier knows ${quote(FORMAT)}`);
    if (!['session', 'contract', 'range'].includes(manifest.scope?.kind)) refuse(`manifest.json says scope ${quote(manifest.scope)}`);
    return manifest;
  }

  async readCheckpoint() {
    const { report, manifest } = this;
    const text = await readFile(this.file('checkpoint'), 'utf8').catch(() => null);
    if (text === null) {
      report.notChecked('checkpoint', 'the bundle has none: whoever can write the ledger can recompute everything in here');
      return;
    }
    const checkpoint = readCheckpoint(text);
    this.checkpoint = { ...checkpoint, text };
    const own = (manifest.log?.keys ?? []).map(readKey);
    const vouches = this.keys.filter((key) => this.checkSignature(key));
    if (vouches.length > 0) this.anchored = true;
    const inside = own.filter((key) => !this.keys.some(({ id }) => id === key.id) && this.checkSignature(key));
    if (vouches.some((key) => key.type === 1))
      report.note('checkpoint', `${checkpoint.origin}, ${checkpoint.size} leaves, signed by the key given`);
    else if (inside.length > 0)
      report.note('checkpoint', `${checkpoint.origin}, ${checkpoint.size} leaves; its key came with the bundle: compare it, or give --key`);
    else report.notChecked('checkpoint', 'no key given and none in the bundle has signed it');
    if (this.keys.length > 0 && vouches.length === 0)
      report.find('invalid', 'checkpoint', {}, 'none of the keys given has signed the checkpoint');
  }

  checkSignature(key) {
    const signed = signedBy(this.checkpoint, key);
    if (signed !== null) this.report.count('checkpoint');
    if (signed === false)
      this.report.find('invalid', 'checkpoint', {}, `the signature of ${key.name} (${key.id}) does not fit the checkpoint`);
    if (signed && key.type === 1 && key.name !== this.checkpoint.origin) {
      this.report.find('invalid', 'checkpoint', {}, `the key of ${key.name} signed a checkpoint of ${this.checkpoint.origin}`);
    }
    return signed === true;
  }

  async readProofs() {
    const { report, checkpoint } = this;
    const names = await readdir(this.file('proofs')).catch(() => []);
    for (const name of names) {
      const hash = name.replace(/\.tlog-proof$/, '');
      if (!HEX.test(hash) || hash === name) refuse(`proofs/${name} is not named after the hash of a leaf`);
      const proof = readProof(await readFile(this.file('proofs', name), 'utf8'));
      report.count('inclusion');
      const same = checkpoint !== null && proof.checkpoint === checkpoint.text;
      const root = same ? rootOfInclusion({ ...proof, size: checkpoint.size }, Buffer.from(hash, 'hex')) : null;
      if (root?.equals(checkpoint.root)) this.proofs.set(hash, proof);
      else
        report.find(
          'invalid',
          'inclusion',
          {},
          same ? `proofs/${name} does not lead to the root of the checkpoint` : `proofs/${name} is against another checkpoint`,
        );
    }
  }

  /** Checkpoints the auditor kept: ours must grow out of them. */
  async checkKnown() {
    const { report, known, checkpoint } = this;
    if (known.length === 0)
      report.notChecked('known checkpoints', 'none given: a log that was rewritten and signed again looks like this one');
    let compared = 0;
    for (const path of known) {
      const older = readCheckpoint(await readFile(path, 'utf8'));
      report.count('known checkpoints');
      if (older.size === 0n) refuse(`${path} is of an empty log, which every log grows out of`);
      for (const key of this.keys) if (signedBy(older, key) === false) refuse(`${path}: the signature of ${key.name} does not fit`);
      if (checkpoint === null) continue;
      if (older.origin !== checkpoint.origin) refuse(`${path} is of the log ${older.origin}, the bundle is of ${checkpoint.origin}`);
      const proof = older.size === checkpoint.size ? [] : await this.consistency(older.size);
      if (proof === null) continue;
      compared += 1;
      if (isConsistent(older, checkpoint, proof)) this.anchored ||= older.size === checkpoint.size || this.sharesKey(older);
      else report.find('diverged', 'known checkpoints', {}, `the log does not grow out of ${path}: it was forked, cut or rewritten since`);
    }
    if (compared < known.length) {
      report.notChecked(
        'known checkpoints',
        `${known.length - compared} of ${known.length}: the bundle has no proof from there (export with --known)`,
      );
    }
  }

  /** A checkpoint that was kept vouches for its leaves and for the key that signed it; what came later must be signed by that key too. */
  sharesKey(older) {
    const keys = [...this.keys, ...(this.manifest.log?.keys ?? []).map(readKey)];
    const shared = keys.some((key) => signedBy(older, key) === true && signedBy(this.checkpoint, key) === true);
    if (!shared) this.report.note('known checkpoints', 'what is newer than the one kept is signed by another key than that');
    return shared;
  }

  async consistency(size) {
    const text = await readFile(this.file('consistency', String(size)), 'utf8').catch(() => null);
    return text === null
      ? null
      : text
          .split('\n')
          .filter(Boolean)
          .map((line) => base64(line, 32));
  }

  /** The part of the log a range is: the hash of every leaf, ours and those of others. */
  async readLeaves() {
    const { report, checkpoint } = this;
    const { kind, from } = this.manifest.scope;
    if (kind !== 'range') {
      report.notChecked(
        'log completeness',
        'that a record is in the log does not prove that no other was left out; see session completeness',
      );
      return;
    }
    if (checkpoint === null) {
      report.notChecked('log completeness', 'there is no checkpoint');
      return;
    }
    const leaves = [];
    for await (const line of linesOf(this.file('leaves'))) {
      leaves.push(Buffer.from(line.toString('ascii'), 'hex'));
      if (leaves.at(-1).length !== 32) refuse(`leaves, line ${leaves.length}, is no hash`);
    }
    report.count('log completeness', leaves.length);
    const ends = [leaves[0], leaves.at(-1)].map((hash) => this.proofs.get(hash?.toString('hex')));
    const places = [BigInt(from), BigInt(from + leaves.length - 1)];
    const proofs = ends.flatMap((proof, i) => (proof?.index === places[i] ? [{ index: Number(proof.index), path: proof.path }] : []));
    const root = proofs.length === 2 ? rootOfRange(from, leaves, Number(checkpoint.size), proofs) : null;
    if (root?.equals(checkpoint.root)) this.leaves = new Map(leaves.map((hash, i) => [hash.toString('hex'), BigInt(from + i)]));
    else
      report.find(
        'incomplete',
        'log completeness',
        {},
        `the leaves ${from} to ${from + leaves.length - 1} are not what the checkpoint covers there`,
      );
  }

  async readRecords() {
    const { report, manifest } = this;
    const { kind, streams = [] } = manifest.scope;
    let placed = 0;
    for await (const bytes of linesOf(this.file('records.ndjson'))) {
      const read = this.readRecord(bytes, { event_id: null, stream: null, seq: null, line: ++this.records });
      if (read === null) continue;
      const { record, proven, hash } = read;
      if (this.leaves.has(hash)) placed += 1;
      let stream = this.streams.get(record.stream);
      if (!stream) {
        const whole = kind === 'session' && streams.includes(record.stream) ? 'all' : kind === 'range' ? 'run' : 'any';
        stream = new Stream(record.stream, whole, report);
        this.streams.set(record.stream, stream);
      }
      stream.take(record, hash, proven);
      if (record.to_record)
        this.named.set(record.to_record, { event_id: record.id, stream: record.stream, seq: record.seq, to: record.to });
    }
    for (const stream of this.streams.values()) stream.endRun();
    if (this.records !== manifest.counts?.records) {
      report.find('incomplete', 'chain', {}, `manifest.json says ${quote(manifest.counts?.records)} records, here are ${this.records}`);
    }
    report.note('record hash', 'made from the bytes; links and proofs compare it');
    const withheld = this.leaves.size - placed;
    if (withheld > 0)
      report.note('log completeness', `${withheld} leaves without their record: another tenant's, says whoever exported it`);
  }

  /** Records that those asked for refer to: agents in force, erasures. Each stands on its own proof. */
  async readContext() {
    const { report, checkpoint } = this;
    for await (const bytes of linesOf(this.file('context.ndjson'))) {
      const read = this.readRecord(bytes, { event_id: null, stream: null, seq: null });
      if (read === null || read.proven || checkpoint === null) continue;
      const { id, stream, seq } = read.record;
      report.unproven.push({ at: { event_id: id, stream, seq }, count: 1 });
    }
  }

  readRecord(bytes, at) {
    const record = readRecord(bytes, at, this.report);
    if (record === null) return null;
    const { id, stream, seq, type } = record;
    const hash = leafHash(bytes).toString('hex');
    this.report.count('record hash');
    if (this.proofs.has(hash)) this.present.add(hash);
    const place = { event_id: id, stream, seq };
    for (const digest of record._sd ?? []) this.wanted.set(digest, place);
    const index = this.proofs.get(hash)?.index ?? this.leaves.get(hash) ?? null;
    if (index !== null)
      this.places
        .set(stream, this.places.get(stream) ?? [])
        .get(stream)
        .push({ seq, index });
    if (type === 'payload.erased') this.erasure(record, index);
    if (type === 'agent.registered' || type === 'agent.updated') this.agents.set(hash, stream);
    return { record, hash, proven: this.proofs.has(hash) || this.leaves.has(hash) };
  }

  /** Whole streams, all of an event, or single digests. */
  erasure({ id, stream, streams = [], events = [], disclosures = [] }, index) {
    const erasure = { by: id, tenant: tenantOf(stream), index };
    for (const erased of [...streams, ...events, ...disclosures.map(({ digest }) => digest)])
      this.erasures.set(erased, [...(this.erasures.get(erased) ?? []), erasure]);
  }

  /**
   * Ids and digests are chance, so whoever names one knew it: it was there. A stream goes on under its name, and what is appended to it later must
   * not be lost in the shadow of an old erasure.
   */
  erasureOf(digest, { event_id, stream, seq }) {
    const own = (erased) => (this.erasures.get(erased) ?? []).filter(({ tenant }) => tenant === tenantOf(stream));
    const [named] = [...own(digest), ...own(event_id)];
    const precedes = ({ index }) => {
      if (index === null) return true; // that it is not proven is told elsewhere, and so of records
      const { before, proven } = this.reach(stream, index);
      return seq <= before || seq > proven;
    };
    return named ?? own(stream).find(precedes) ?? null;
  }

  /** The last record of a stream that is proven to stand in the log before this place, and the last that is proven at all. */
  reach(stream, index) {
    const key = `${index} ${stream}`;
    const last = (places) => places.reduce((most, { seq }) => Math.max(most, seq), 0);
    const places = this.places.get(stream) ?? [];
    if (!this.reached.has(key))
      this.reached.set(key, { before: last(places.filter((place) => place.index < index)), proven: last(places) });
    return this.reached.get(key);
  }

  async readDisclosures() {
    const { report, wanted } = this;
    const shown = new Set();
    const bases = new Map();
    for await (const bytes of linesOf(this.file('disclosures.ndjson'))) {
      report.count('payload digests');
      const digest = sha256(bytes.toString('base64url')).toString('base64url');
      const at = wanted.get(digest);
      const disclosed = readDisclosure(bytes);
      if (!at) report.find('invalid', 'payload digests', {}, `the disclosure with digest ${digest} belongs to no record in here`);
      else if (!disclosed) report.find('invalid', 'payload digests', at, `the disclosure with digest ${digest} is not [salt, name, value]`);
      else if (disclosed[1] === 'basis') bases.set(at.event_id, String(disclosed[2]));
      shown.add(digest);
    }
    this.explain(shown, bases);
  }

  /** What is not shown was erased, by a record that says so; or held back; or it is missing. `bases`: the reasons of erasures. */
  explain(shown, bases) {
    const { report, wanted } = this;
    const { only } = this.manifest;
    const erased = new Map();
    let withheld = 0;
    for (const [digest, at] of wanted) {
      if (shown.has(digest)) continue;
      const erasure = this.erasureOf(digest, at);
      if (erasure !== null) erased.set(erasure.by, (erased.get(erasure.by) ?? new Set()).add(at.event_id));
      else if (only !== null) withheld += 1;
      else
        report.find(
          'incomplete',
          'payload digests',
          at,
          'a digest of the record has no disclosure, and no later payload.erased in here explains it',
        );
    }
    this.erased.by = [...erased].map(([erasure, events]) => ({ erasure, basis: bases.get(erasure) ?? null, events: events.size }));
    this.erased.events = this.erased.by.reduce((sum, { events }) => sum + events, 0);
    if (this.erased.events > 0) report.note('payload digests', `${this.erased.events} events erased and explained`);
    if (withheld > 0) report.note('payload digests', `${withheld} withheld by whoever exported it (--only ${only.join(',')})`);
  }

  /** The description of the agent that was in force when it was asked. */
  endAgents() {
    let absent = 0;
    for (const [hash, { to, ...at }] of this.named) {
      const stream = this.agents.get(hash);
      if (stream === undefined) absent += 1;
      else if (!stream.endsWith(`/agent/${to}`))
        this.report.find('invalid', 'lifecycle', at, `to_record is the record of ${stream}, not of ${quote(to)}`);
    }
    if (absent > 0) this.report.note('lifecycle', `${absent} agent records that REQUESTs name are not in here`);
  }

  endInclusion() {
    const { report, checkpoint } = this;
    if (checkpoint === null) {
      report.notChecked('inclusion', 'there is no checkpoint');
      return;
    }
    for (const hash of this.proofs.keys()) {
      if (this.present.has(hash) || this.leaves.has(hash)) continue;
      report.find('invalid', 'inclusion', {}, `proofs/${hash}.tlog-proof is of a record that is not in here: it was left out or changed`);
    }
    for (const { at, count } of report.unproven) {
      report.find('incomplete', 'inclusion', at, `${count} records up to here have no proof: the checkpoint may be older than they are`);
    }
    report.note('inclusion', 'a record is proven by its own proof or by the links to a later record that is');
  }

  endSessions() {
    const { report, manifest, streams } = this;
    if (manifest.scope.kind !== 'session') {
      report.notChecked('session completeness', 'no whole session was exported');
      return;
    }
    const open = [];
    for (const name of manifest.scope.streams) {
      const stream = streams.get(name);
      report.count('session completeness');
      if (!stream) report.find('incomplete', 'session completeness', { stream: name }, 'the bundle has no record of this stream');
      else if (stream.sealedAt === null) open.push(name);
    }
    if (open.length > 0)
      report.notChecked('session completeness', `not closed: what came after the last record here is not known (${open.length} streams)`);
    else report.note('session completeness', 'closed: its seal names the last record');
  }
}

/** [salt, name, value]; null: it is something else. */
function readDisclosure(bytes) {
  try {
    const value = JSON.parse(bytes.toString('utf8'));
    const fits = Array.isArray(value) && value.length === 3 && /^[A-Za-z0-9_-]{22,}$/.test(value[0]) && typeof value[1] === 'string';
    return fits && isCanonical(value, bytes) ? value : null;
  } catch {
    return null;
  }
}

/** `keys`: verifier keys (vkey) from outside; `known`: files with checkpoints from outside. Rejects where the bundle cannot be read. */
export const verifyBundle = (directory, options = {}) => new Bundle(directory, options).verify();

// ------------------------------------------------------------------------------------------------------------------- command line

const printable = (text) => text.replace(/\p{C}/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

function render({ verdict, anchored, bundle, events, streams, checks, findings, found, open, erased }) {
  const place = ({ event_id, stream, seq }) =>
    [event_id && `event ${event_id}`, stream, seq && `seq ${seq}`].filter(Boolean).join(', ') || 'the bundle';
  return [
    `Bundle of a ${bundle.scope.kind}: ${events} records in ${streams} streams, made ${bundle.made_at}`,
    '',
    ...checks.map(
      ({ step, name, result, count, note = '' }) =>
        `  ${result.padEnd(11)} ${String(step).padStart(2)}  ${name.padEnd(21)} ${String(count).padStart(8)}  ${note}`,
    ),
    '',
    ...(open.count > 0 ? [`REQUESTs without a RESPONSE: ${open.count}`, ''] : []),
    ...erased.by.map(
      ({ erasure, basis, events: n }) =>
        `ERASED, and explained: the payload of ${n} events by ${erasure}: ${basis ?? 'its reason is not shown'}`,
    ),
    ...findings.slice(0, 10).flatMap((one) => [`  ${place(one)}`, `    ${one.check} (${one.severity}): ${one.what}`]),
    ...(found > 10 ? [`  and ${found - 10} more`] : []),
    `${verdict.toUpperCase()}${anchored ? '' : ' but UNANCHORED: nothing from outside the bundle (--key, --known) vouches for it'}`,
  ]
    .map((line) => printable(line.trimEnd()))
    .join('\n');
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      key: { type: 'string', multiple: true },
      known: { type: 'string', multiple: true },
      anchored: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const directory = positionals[0] ?? dirname(fileURLToPath(import.meta.url));
  const verdict = await verifyBundle(directory, { keys: values.key ?? [], known: values.known ?? [] });
  process.stdout.write(`${values.json ? JSON.stringify(verdict) : render(verdict)}\n`);
  if (verdict.verdict === 'valid' && values.anchored && !verdict.anchored) return UNANCHORED;
  return EXIT[verdict.verdict];
}

const HELP = `Usage: node verify.mjs [DIRECTORY] [--key VKEY]... [--known CHECKPOINT]... [--anchored] [--json]

Checks a bundle exported from Agent Orchestrator. DIRECTORY: where its manifest.json is; without it, where this file is.

  --key VKEY      the log's verifier key, <name>+<id>+<key>, got from somewhere else than this bundle; a witness's too
  --known FILE    a checkpoint of the same log that you kept; the log must grow out of it
  --anchored      fail with 5 unless a key or a checkpoint from outside vouches for the bundle

Exit codes: 0 all that was asked passed; 1 usage, or it could not be read; 2 invalid; 3 diverged from a known checkpoint; 4 incomplete;
5 unanchored, only with --anchored
`;

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().then(
    (code) => {
      process.exitCode = code;
    },
    (error) => {
      process.stderr.write(`verify.mjs: ${printable(error.message)}\n`);
      process.exitCode = USAGE;
    },
  );
}
