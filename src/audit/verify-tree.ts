/** The Merkle tree over all leaves, made anew, and whatever somebody said of it: nodes kept in the database, checkpoints signed or kept. */
import { OrchestratorError } from '../kernel/errors.js';
import { type Checkpoint, type OpenedCheckpoint, openCheckpoint, readCheckpoint } from '../ledger/checkpoint.js';
import { formatVerifierKey, parseNote, parseVerifierKey, signersOf, type VerifierKey } from '../ledger/note.js';
import { TILE_WIDTH } from '../ledger/tiles.js';
import { Frontier } from './frontier.js';
import { type Report, show } from './verify-report.js';

/** A checkpoint in the database: the columns, and the note they were taken from. */
export interface StoredCheckpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  readonly note: string;
  /** Signature lines of witnesses, which go below it. */
  readonly cosignatures: string;
}

/** A checkpoint from outside: what it says, and where it was. */
export interface KnownCheckpoint {
  readonly note: string;
  readonly from: string;
}

/** A subtree of 256^level leaves. */
export interface TreeNode {
  readonly level: number;
  readonly n: number;
  readonly hash: Buffer;
}

const TILE_HEIGHT = Math.log2(TILE_WIDTH);
/** A running log has a few leaves that nobody signed yet. So many microseconds later it should have. */
const UNSIGNED_FOR = 120_000_000;
const NOWHERE = { event_id: null, stream: null, seq: null };

interface Claim {
  readonly size: number;
  readonly root: Buffer;
  /** Says what is wrong if the tree has another root at that size; null: it has not so many leaves. */
  broken(root: Buffer | null): void;
  holds(): void;
}

export class TreeCheck {
  private readonly tree = new Frontier();
  private claims: Claim[] = [];
  private whole: TreeNode[] = [];
  private readonly keys: VerifierKey[];
  /** Those of witnesses among them. Each vouches for the newest checkpoint it cosigned. */
  private readonly witnesses: VerifierKey[];
  private signers: readonly VerifierKey[] = [];
  private stored = 0;
  /** Of the checkpoints that the leaves bear out: the newest in the database, and those from outside. */
  private newest: string | null = null;
  private readonly kept: { size: number; note: string }[] = [];
  /** How far the leaves bear out what somebody signed or kept, and when the first one after that got its place. */
  private vouched = 0;
  private unsignedSince: number | null = null;

  constructor(
    private readonly report: Report,
    /** From outside. */
    vkeys: readonly string[] = [],
  ) {
    const given = vkeys.map(parseVerifierKey);
    this.keys = given.filter(({ kind }) => kind === 'signature');
    this.witnesses = given.filter(({ kind }) => kind === 'cosignature');
  }

  /** `signers`: the keys the database names for the logs. */
  signed(checkpoints: readonly StoredCheckpoint[], signers: readonly string[]): void {
    const keys = signers.map(parseVerifierKey);
    this.signers = keys;
    this.stored = checkpoints.length;
    const newest = checkpoints.at(-1);
    const seen = new Set<string>();
    for (const checkpoint of checkpoints) {
      const { origin, size, root } = checkpoint;
      const what = `the checkpoint of ${origin} at ${size} leaves`;
      this.report.count('checkpoints');
      const said = this.open(checkpoint, keys, what);
      if (said && (said.origin !== origin || said.size !== BigInt(size) || !said.root.equals(root)))
        this.report.invalid('checkpoints', NOWHERE, `${what} says something else in its columns than in its note`);
      if (checkpoint === newest && this.keys.length > 0) this.mustBeSigned(checkpoint);
      this.claims.push({
        size,
        root: said?.root ?? root,
        broken: (found) => this.report.invalid('checkpoints', { ...NOWHERE, idx: size }, `${what} ${differs(said?.root ?? root, found)}`),
        holds: () => {
          this.vouchedUpTo(size);
          if (checkpoint === newest) this.newest = checkpoint.note;
          if (said?.signers.some((key) => this.witnesses.includes(key))) this.kept.push({ size, note: checkpoint.note });
        },
      });
      for (const { id } of said?.signers ?? []) seen.add(id);
    }
    for (const witness of this.witnesses)
      if (!seen.has(witness.id))
        this.report.incomplete('checkpoints', NOWHERE, `the ledger has no checkpoint that is cosigned by ${formatVerifierKey(witness)}`);
  }

  private open({ note, cosignatures }: StoredCheckpoint, keys: readonly VerifierKey[], what: string): OpenedCheckpoint | null {
    try {
      return openCheckpoint(note, keys) && openCheckpoint(note + cosignatures, [...this.witnesses, ...keys]);
    } catch (error) {
      this.report.invalid('checkpoints', NOWHERE, `${what}: ${(error as Error).message}`);
      return null;
    }
  }

  /** By one of the keys from outside. */
  private mustBeSigned({ origin, note, size }: StoredCheckpoint): void {
    if (signersAmong(note, this.keys).length > 0) return;
    const keys = this.keys.map(formatVerifierKey).join(', ');
    this.report.invalid('checkpoints', NOWHERE, `the newest checkpoint, of ${origin} at ${size} leaves, is not signed by ${keys}`);
  }

  known(checkpoints: readonly KnownCheckpoint[]): void {
    for (const { note, from } of checkpoints) {
      const { origin, size, root } = readKnown(note, from, [...this.keys, ...this.witnesses]);
      const what = `the checkpoint in ${from}, of ${origin} at ${size} leaves,`;
      this.report.count('known checkpoints');
      this.claims.push({
        size: Number(size),
        root,
        broken: (found) => this.report.diverged('known checkpoints', { ...NOWHERE, idx: Number(size) }, `${what} ${differs(root, found)}`),
        holds: () => {
          this.vouchedUpTo(Number(size));
          this.kept.push({ size: Number(size), note });
        },
      });
    }
    if (checkpoints.length === 0)
      this.report.notAsked('known checkpoints', 'none given: a log that was rewritten and signed again looks like this one');
  }

  private vouchedUpTo(size: number): void {
    this.vouched = size;
    this.unsignedSince = null;
  }

  /** In the order of idx. `at`: when it was sequenced, in microseconds. */
  leaf({ hash, at }: { readonly hash: Buffer; readonly at: number }): void {
    if (this.tree.size === 0) this.claims = this.claims.sort((a, b) => b.size - a.size);
    this.tree.push(hash, (height, node) => {
      if (height % TILE_HEIGHT === 0) this.whole.push({ level: height / TILE_HEIGHT, n: this.tree.size / 2 ** height - 1, hash: node });
    });
    this.report.count('tree');
    while (this.claims.at(-1)?.size === this.tree.size) this.compare(this.claims.pop()!);
    if (this.tree.size > this.vouched) this.unsignedSince ??= at;
  }

  private compare(claim: Claim): void {
    const root = this.tree.root();
    if (root.equals(claim.root)) claim.holds();
    else claim.broken(root);
  }

  /** Nodes that became complete since this was asked last. */
  takeWhole(): TreeNode[] {
    const { whole } = this;
    this.whole = [];
    return whole;
  }

  /** `stored`: what the database holds for this node. */
  node({ level, n, hash }: TreeNode, stored: Buffer): void {
    if (hash.equals(stored)) return;
    const place = `node ${n} of level ${level} of the tree`;
    this.report.invalid(
      'tree',
      { ...NOWHERE, idx: n * 2 ** (TILE_HEIGHT * level) },
      `${place} is ${show(stored)}, its leaves hash to ${show(hash)}`,
    );
  }

  /** `now`: on the clock that gave the leaves their times. */
  end(now: number): void {
    for (const claim of this.claims) if (claim.size !== 0) claim.broken(null);
    const { report, tree } = this;
    report.anchored = this.isAnchored(now);
    report.note('tree', `root ${tree.root().toString('hex')} over ${tree.size} leaves`);
    if (this.stored === 0 && this.keys.length > 0)
      report.incomplete('checkpoints', NOWHERE, 'the ledger has no checkpoint, so none is signed by the key given');
    else if (this.stored === 0) report.notAsked('checkpoints', 'none was signed: whoever can write the database can recompute it');
    else if (this.keys.length + this.witnesses.length === 0)
      report.note('checkpoints', 'signed by keys the database names itself: give --key');
    const since = tree.size - this.vouched;
    if (this.stored > 0 && since > 0)
      report.note('checkpoints', since === 1 ? '1 leaf since is signed by nobody' : `${since} leaves since are signed by nobody`);
  }

  /**
   * A checkpoint that was kept vouches for the leaves it has, and for the key that signed it. What came later must be signed by that key, or by
   * one from outside, but for the last moments of a log that goes on: anybody can make a tree grow.
   */
  private isAnchored(now: number): boolean {
    if (this.kept.some(({ size }) => size === this.tree.size)) return true;
    if (this.unsignedSince !== null && Math.abs(now - this.unsignedSince) > UNSIGNED_FOR) return false;
    const keys = [...this.keys, ...this.signers];
    const trusted = [...this.keys, ...this.kept.flatMap(({ note }) => signersAmong(note, keys))].map(formatVerifierKey);
    return this.newest !== null && signersAmong(this.newest, keys).some((key) => trusted.includes(formatVerifierKey(key)));
  }
}

function signersAmong(note: string, keys: readonly VerifierKey[]): VerifierKey[] {
  try {
    return signersOf(parseNote(note), keys);
  } catch {
    return []; // a bad signature of one of them spoils the note
  }
}

function readKnown(note: string, from: string, keys: readonly VerifierKey[]): Checkpoint {
  try {
    const known = readCheckpoint(note);
    signersOf(parseNote(note), keys);
    if (known.size > 0n) return known;
  } catch (error) {
    throw new OrchestratorError('invalid_request', `${from}: ${(error as Error).message}`);
  }
  throw new OrchestratorError('invalid_request', `${from} is the checkpoint of an empty log, which every log grows out of`);
}

const differs = (root: Buffer, found: Buffer | null) =>
  found === null ? 'is of leaves that are not there: the log was cut' : `says root ${show(root)}, the leaves hash to ${show(found)}`;
