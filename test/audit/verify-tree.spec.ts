import { randomBytes } from 'node:crypto';
import { Report } from '../../src/audit/verify-report.js';
import { type KnownCheckpoint, type StoredCheckpoint, TreeCheck, type TreeNode } from '../../src/audit/verify-tree.js';
import { checkpointText, signCheckpoint } from '../../src/ledger/checkpoint.js';
import { formatVerifierKey, signerKey, verifierOf } from '../../src/ledger/note.js';
import { Witness } from '../support/witness.js';
import { KEY, ORIGIN, rootOf, VKEY } from './paper-evidence.js';

const AT = 1_790_000_000_000_000;
const stranger = signerKey(ORIGIN, Buffer.alloc(32, 8));

const leaves = Array.from({ length: 600 }, () => randomBytes(32));

const witness = new Witness(signerKey('witness.example', Buffer.alloc(32, 5)), []);
const WITNESS = formatVerifierKey(witness.key);

function signed(size: number, { by = KEY, over = leaves, cosigned = false } = {}): StoredCheckpoint {
  const root = rootOf(over.slice(0, size));
  const head = { size: BigInt(size), root };
  const cosignatures = cosigned ? witness.cosign(checkpointText(ORIGIN, head)) : '';
  return { origin: ORIGIN, size, root, note: signCheckpoint(ORIGIN, head, [by]), cosignatures };
}

interface Given {
  stored?: StoredCheckpoint[];
  known?: KnownCheckpoint[];
  keys?: string[];
  over?: readonly Buffer[];
  signers?: string[];
  /** Seconds since the leaves got their places. */
  age?: number;
}

function verdictOf({ stored = [], known = [], keys = [], over = leaves, signers = [VKEY], age = 0 }: Given) {
  const report = new Report();
  const tree = new TreeCheck(report, keys);
  tree.known(known);
  tree.signed(stored, signers);
  for (const hash of over) tree.leaf({ hash, at: AT });
  tree.end(AT + age * 1_000_000);
  return { ...report.verdict('ledger'), nodes: tree.takeWhole(), tree, report };
}

const kept = (size: number, over = leaves) => [{ from: 'october', note: signed(size, { over }).note }];
const tampered = leaves.map((leaf, i) => (i === 300 ? Buffer.alloc(32) : leaf));

describe('the tree', () => {
  it('has the root that RFC 9162 defines, at every size a checkpoint names', () => {
    const sizes = [1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 599, 600];
    const verdict = verdictOf({ stored: sizes.map((size) => signed(size)), known: sizes.flatMap((size) => kept(size)) });
    expect(verdict).toMatchObject({ verdict: 'valid', found: 0, anchored: true });
    expect(verdict.checks.find(({ name }) => name === 'known checkpoints')).toMatchObject({ result: 'pass', count: sizes.length });
  });

  it('knows the nodes over whole tiles, and finds one the database has wrong', () => {
    const { nodes, tree, report } = verdictOf({});
    expect(nodes.map(({ level, n }: TreeNode) => [level, n])).toEqual([
      [1, 0],
      [1, 1],
    ]);
    expect(nodes[1]!.hash.equals(rootOf(leaves.slice(256, 512)))).toBe(true);
    tree.node(nodes[0]!, nodes[0]!.hash);
    expect(report.verdict('ledger').verdict).toBe('valid');
    tree.node(nodes[1]!, Buffer.alloc(32));
    expect(report.verdict('ledger')).toMatchObject({ verdict: 'invalid', found: 1, first: { check: 'tree', idx: 256 } });
  });

  it('is invalid where it is not what was signed', () => {
    expect(verdictOf({ stored: [signed(300), signed(600)], over: tampered })).toMatchObject({
      verdict: 'invalid',
      found: 1,
      first: { check: 'checkpoints', idx: 600 },
    });
  });

  it('is invalid where it is shorter than what was signed', () => {
    const { verdict, first } = verdictOf({ stored: [signed(600)], over: leaves.slice(0, 500) });
    expect([verdict, first?.what]).toEqual(['invalid', expect.stringContaining('the log was cut')]);
  });

  it('diverges where it is not what somebody kept, even if it was signed again', () => {
    const verdict = verdictOf({ stored: [signed(600, { over: tampered })], known: kept(400), over: tampered });
    expect(verdict).toMatchObject({ verdict: 'diverged', found: 1, anchored: false, first: { check: 'known checkpoints', idx: 400 } });
  });

  it('diverges where it is shorter than what somebody kept', () => {
    expect(verdictOf({ known: kept(600), over: leaves.slice(0, 599) })).toMatchObject({ verdict: 'diverged', anchored: false });
  });

  it('is not anchored by keys the database names itself', () => {
    expect(verdictOf({ stored: [signed(600)] })).toMatchObject({ verdict: 'valid', anchored: false });
  });

  it('is anchored by a key from outside that signed the newest checkpoint, and by no other', () => {
    expect(verdictOf({ stored: [signed(600)], keys: [VKEY] })).toMatchObject({ verdict: 'valid', anchored: true });
    const other = formatVerifierKey(verifierOf(stranger));
    expect(verdictOf({ stored: [signed(600)], keys: [other] })).toMatchObject({
      verdict: 'invalid',
      anchored: false,
      first: { check: 'checkpoints' },
    });
  });

  it('is anchored by a checkpoint that was kept only as far as that goes, or where its key signed what came later', () => {
    expect(verdictOf({ known: kept(400) })).toMatchObject({ verdict: 'valid', anchored: false });
    expect(verdictOf({ known: kept(600) })).toMatchObject({ verdict: 'valid', anchored: true });
    expect(verdictOf({ stored: [signed(600)], known: kept(400) })).toMatchObject({ verdict: 'valid', anchored: true });
    const other = formatVerifierKey(verifierOf(stranger));
    const grown = { stored: [signed(600, { by: stranger })], known: kept(400), signers: [VKEY, other] };
    expect(verdictOf(grown)).toMatchObject({ verdict: 'valid', anchored: false });
  });

  it('is not anchored for long where leaves after the newest checkpoint are signed by nobody, and counts them', () => {
    const keys = [VKEY];
    for (const [age, anchored] of [
      [1, true],
      [110, true],
      [130, false],
      [-130, false],
    ] as const) {
      const verdict = verdictOf({ stored: [signed(500), signed(590)], keys, age });
      expect([age, verdict.verdict, verdict.anchored]).toEqual([age, 'valid', anchored]);
      expect(verdict.checks.find(({ name }) => name === 'checkpoints')?.note).toBe('10 leaves since are signed by nobody');
    }
    expect(verdictOf({ stored: [signed(600)], keys, age: 3600 })).toMatchObject({ anchored: true });
    expect(verdictOf({ stored: [signed(590)], known: kept(600), age: 3600 })).toMatchObject({ anchored: true });
  });

  it('is invalid where a checkpoint is not signed by a key of the log, or its columns say something else', () => {
    expect(verdictOf({ stored: [signed(600, { by: stranger })] })).toMatchObject({ verdict: 'invalid', found: 1 });
    expect(verdictOf({ stored: [{ ...signed(600), root: Buffer.alloc(32) }] })).toMatchObject({ verdict: 'invalid', found: 1 });
  });

  it('is anchored by the key of a witness as by a checkpoint that was kept: up to what it cosigned, and by the key that signed that', () => {
    const [cosigned, keys] = [signed(400, { cosigned: true }), [WITNESS]];
    expect(verdictOf({ stored: [cosigned, signed(600)], keys })).toMatchObject({ verdict: 'valid', anchored: true });
    expect(verdictOf({ stored: [cosigned], over: leaves.slice(0, 400), keys })).toMatchObject({ verdict: 'valid', anchored: true });
    const signers = [VKEY, formatVerifierKey(verifierOf(stranger))];
    const grown = { stored: [cosigned, signed(600, { by: stranger })], signers, keys };
    expect(verdictOf(grown)).toMatchObject({ verdict: 'valid', anchored: false });
    expect(verdictOf({ stored: [cosigned, signed(600)], keys, over: tampered.slice(0, 400) })).toMatchObject({ verdict: 'invalid' });
  });

  it('is incomplete where the witness whose key is given cosigned nothing, invalid where its cosignature is not good', () => {
    const given = { stored: [signed(600)], keys: [WITNESS] };
    expect(verdictOf(given)).toMatchObject({ verdict: 'incomplete', anchored: false, first: { check: 'checkpoints' } });
    expect(verdictOf({ ...given, stored: [] })).toMatchObject({ verdict: 'incomplete', anchored: false });
    const forged = { ...signed(600), cosignatures: signed(500, { cosigned: true }).cosignatures };
    expect(verdictOf({ ...given, stored: [forged] })).toMatchObject({ verdict: 'invalid', anchored: false });
  });

  it('is not anchored by a witness that only the database names', () => {
    const stored = [signed(600, { cosigned: true })];
    expect(verdictOf({ stored, signers: [VKEY, WITNESS] })).toMatchObject({ verdict: 'valid', anchored: false });
  });

  it('refuses what is no checkpoint, and that of an empty log, with the name it came under', () => {
    expect(() => verdictOf({ known: [{ from: 'notes.txt', note: 'hello' }] })).toThrow(/^notes\.txt: /);
    const empty = signCheckpoint(ORIGIN, { size: 0n, root: Buffer.alloc(32) }, [KEY]);
    expect(() => verdictOf({ known: [{ from: 'empty', note: empty }] })).toThrow(/empty log/);
    const changed = [{ from: 'october', note: signed(400).note.replace('\n400\n', '\n401\n') }];
    expect(() => verdictOf({ known: changed, keys: [VKEY] })).toThrow(/^october: .* is not good/);
    expect(verdictOf({ known: changed })).toMatchObject({ verdict: 'diverged' });
  });
});
