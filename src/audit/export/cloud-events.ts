/** Events as a CloudEvents 1.0 batch in JSON, for whoever feeds them into an event bus. A feed proves nothing by itself: that is what the bundle is for. */
import { canonicalJson } from '../../kernel/canonical.js';
import type { JsonValue } from '../../kernel/json.js';
import { recordHash } from '../../ledger/record.js';
import { type Evidence, membersOf, type Piece, valuesOf } from './evidence.js';

export async function* cloudEvents(evidence: AsyncIterable<Evidence>): AsyncGenerator<string> {
  let before = '[\n';
  for await (const piece of evidence) {
    if (piece.kind !== 'event') continue;
    yield before + canonicalJson(cloudEvent(piece));
    before = ',\n';
  }
  yield before === '[\n' ? '[]\n' : '\n]\n';
}

/** As long as the largest safe integer, so that texts sort as numbers do. */
const DIGITS = String(Number.MAX_SAFE_INTEGER).length;

export function cloudEvent({ record, disclosures }: Piece<'event'>): Record<string, JsonValue> {
  const { id, stream, seq, type, time, in_reply_to, trace } = membersOf(record);
  const contract = type === 'contract.request' ? id : in_reply_to;
  return {
    specversion: '1.0',
    id,
    source: `urn:agent-orchestrator:${stream}`,
    type: `agent-orchestrator.${type}`,
    time,
    ...(contract !== undefined && { subject: contract }),
    datacontenttype: 'application/json',
    sequence: String(seq).padStart(DIGITS, '0'),
    recordhash: recordHash(Buffer.from(record, 'utf8')).toString('hex'),
    ...(trace !== undefined && { traceid: trace }),
    data: { record, disclosed: valuesOf(disclosures) },
  };
}
