/** Evidence made of a ledger on paper, with a log signed by a key of the test. */
import type { Evidence, Scope } from '../../src/audit/export/evidence.js';
import { signCheckpoint } from '../../src/ledger/checkpoint.js';
import { formatVerifierKey, signerKey, verifierOf } from '../../src/ledger/note.js';
import { consistencyRanges, inclusionRanges, nodeHash, type Range } from '../../src/ledger/tree.js';
import type { PaperEvent, PaperLedger } from './paper-ledger.js';

export const ORIGIN = 'example.com/log';
export const KEY = signerKey(ORIGIN, Buffer.alloc(32, 7));
export const VKEY = formatVerifierKey(verifierOf(KEY));

/** Straight from the definition in RFC 9162. */
export function rootOf(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0]!;
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return nodeHash(rootOf(hashes.slice(0, k)), rootOf(hashes.slice(k)));
}

export class PaperLog {
  readonly leaves: Buffer[];

  constructor(ledger: PaperLedger) {
    this.leaves = ledger.events.map(({ row }) => row.hash);
  }

  note(size = this.leaves.length): string {
    return signCheckpoint(ORIGIN, { size: BigInt(size), root: rootOf(this.leaves.slice(0, size)) }, [KEY]);
  }

  private path(ranges: readonly Range[]): string[] {
    return ranges.map(({ start, end }) => rootOf(this.leaves.slice(Number(start), Number(end))).toString('base64'));
  }

  inclusion(index: number, size: number): Evidence {
    const path = this.path(inclusionRanges(BigInt(index), BigInt(size)));
    return { kind: 'inclusion', leaf: this.leaves[index]!.toString('hex'), index, path };
  }

  consistency(from: number, size: number): Evidence {
    return { kind: 'consistency', from, path: this.path(consistencyRanges(BigInt(from), BigInt(size))) };
  }
}

export interface PaperExport {
  scope: Scope;
  /** In the order in which they are exported. */
  events: readonly PaperEvent[];
  context?: readonly PaperEvent[];
  only?: string[] | null;
  /** Places that get a proof; null: there is no checkpoint. */
  proven: readonly number[] | null;
  known?: readonly number[];
  size?: number;
}

export async function* paperEvidence(ledger: PaperLedger, asked: PaperExport): AsyncGenerator<Evidence> {
  const { scope, events, context = [], only = null, proven, known = [] } = asked;
  const log = new PaperLog(ledger);
  const size = asked.size ?? log.leaves.length;
  yield { kind: 'opening', scope, only, made_at: '2026-11-21T12:00:00.000Z', made_by: 'agent-orchestrator 0.0.0' };
  if (scope.kind === 'range')
    for (const hash of log.leaves.slice(scope.from, scope.to + 1)) yield { kind: 'leaf', hash: hash.toString('hex') };
  for (const event of events) yield pieceOf(event, only, false);
  for (const event of context) yield pieceOf(event, null, true);
  if (proven !== null) {
    yield { kind: 'checkpoint', note: log.note(size), size, keys: [VKEY] };
    for (const index of proven) yield log.inclusion(index, size);
    for (const from of known) yield log.consistency(from, size);
  }
  yield { kind: 'end', events: events.length };
}

function pieceOf({ row, payload, standing }: PaperEvent, only: readonly string[] | null, context: boolean): Evidence {
  const disclosures = payload.filter(({ name }) => only === null || only.includes(name)).map(({ bytes }) => bytes.toString('utf8'));
  return { kind: 'event', idx: Number(standing.leaves[0]!.idx), record: row.record.toString('utf8'), disclosures, context };
}
