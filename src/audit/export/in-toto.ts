/**
 * An in-toto Statement about the records of an export, signed in a DSSE envelope by whoever exports. It is held in memory as a whole: that is
 * what is signed. Each subject is a record, by the SHA-256 of its bytes as they stand in records.ndjson; the hash of the log is another one.
 */
import { createPublicKey, hash, type KeyObject, sign } from 'node:crypto';
import type { JsonValue } from '../../kernel/json.js';
import { recordHash } from '../../ledger/record.js';
import { ContractPairs, type Evidence, membersOf, type Piece } from './evidence.js';

export const STATEMENT = 'https://in-toto.io/Statement/v1';
export const PREDICATE = 'urn:agent-orchestrator:contract-records:v1';
const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** `key`: an Ed25519 private key. */
export async function inToto(evidence: AsyncIterable<Evidence>, key: KeyObject): Promise<string> {
  const payload = Buffer.from(JSON.stringify(await statementOf(evidence)), 'utf8');
  const keyid = hash('sha256', createPublicKey(key).export({ format: 'der', type: 'spki' }), 'hex');
  const sig = sign(null, preAuthEncoding(PAYLOAD_TYPE, payload), key).toString('base64');
  return `${JSON.stringify({ payloadType: PAYLOAD_TYPE, payload: payload.toString('base64'), signatures: [{ keyid, sig }] })}\n`;
}

/** DSSE v1: what is signed instead of the bare payload. */
export function preAuthEncoding(type: string, body: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${body.length} `;
  return Buffer.concat([Buffer.from(head, 'utf8'), body]);
}

async function statementOf(evidence: AsyncIterable<Evidence>): Promise<JsonValue> {
  const pairs = new ContractPairs();
  const subject: JsonValue[] = [];
  const contracts = { completed: 0, failed: 0, cancelled: 0, pending: 0 };
  let opening: Piece<'opening'> | null = null;
  let checkpoint: string | null = null;
  for await (const piece of evidence) {
    if (piece.kind === 'opening') opening = piece;
    if (piece.kind === 'checkpoint') checkpoint = piece.note;
    if (piece.kind !== 'event' || piece.context) continue;
    const bytes = Buffer.from(piece.record, 'utf8');
    const members = membersOf(piece.record);
    subject.push({
      name: members.id,
      digest: { sha256: hash('sha256', bytes, 'hex') },
      annotations: { leafHash: recordHash(bytes).toString('hex') },
    });
    const status = pairs.take(members)?.response?.status ?? '';
    if (Object.hasOwn(contracts, status)) contracts[status as keyof typeof contracts] += 1;
  }
  contracts.pending = pairs.rest().length;
  const { scope, made_at, made_by } = opening!;
  return { _type: STATEMENT, subject, predicateType: PREDICATE, predicate: { scope, made_at, made_by, contracts, checkpoint } };
}
