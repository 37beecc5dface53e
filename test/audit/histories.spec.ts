/**
 * Histories that earlier versions wrote, named by the version. Every build reads them: what was recorded then must mean the same now. Files
 * are added, never made again.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tally } from '../../src/contracts/tally.js';
import { isCanonical } from '../../src/kernel/canonical.js';
import { type Disclosure, type Draft, disclosureDigest, type Members, recordHash, stamp } from '../../src/ledger/record.js';
import { decide, emptyStream, evolve, type StreamState } from '../../src/ledger/stream.js';

interface Line {
  readonly record: string;
  readonly hash: string;
  readonly disclosures: string[];
}

const directory = join(__dirname, 'histories');
const histories = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));

const linesOf = (name: string) =>
  readFileSync(join(directory, name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

/** The draft a record was stamped from. */
function draftOf({ record, disclosures }: Line): { draft: Draft; stream: string; seq: number } {
  const { v, id, stream, seq, prev: _prev, type, time, _sd, _sd_alg, last_seq: _seq, last_head: _head, ...members } = JSON.parse(record);
  expect(v).toBe(1);
  const parts: Disclosure[] = disclosures.map((text) => {
    const bytes = Buffer.from(text, 'utf8');
    return { name: (JSON.parse(text) as [string, string])[1], bytes, digest: disclosureDigest(bytes) };
  });
  expect(parts.map((p) => p.digest).sort()).toEqual(_sd ?? []);
  expect(_sd_alg).toBe(parts.length > 0 ? 'sha-256' : undefined);
  return { draft: { id, type, time, members: members as Members, disclosures: parts }, stream, seq };
}

it('there are recorded histories', () => {
  expect(histories).toContain('0.1.0-first-contracts.jsonl');
});

describe.each(histories)('%s', (name) => {
  it('is written again byte for byte by this version', () => {
    const states = new Map<string, StreamState>();
    for (const line of linesOf(name)) {
      const { draft, stream, seq } = draftOf(line);
      const state = states.get(stream) ?? emptyStream();
      states.set(stream, state);
      expect(decide(state, [draft])).toBeNull();
      const stamped = stamp(draft, { stream, seq: state.seq + 1, prev: state.head });
      expect(stamped.bytes.toString('utf8')).toBe(line.record);
      expect([stamped.hash.toString('hex'), recordHash(Buffer.from(line.record)).toString('hex'), seq]).toEqual([
        line.hash,
        line.hash,
        state.seq + 1,
      ]);
      expect([isCanonical(line.record), ...line.disclosures.map(isCanonical)]).toEqual([true, ...line.disclosures.map(() => true)]);
      evolve(state, draft, stamped.hash);
    }
    expect([...states.values()].map((state) => state.open.size)).toEqual([...states.values()].map(() => 0));
  });
});

it('0.1.0-first-contracts adds up to what was done then', () => {
  const events = linesOf('0.1.0-first-contracts.jsonl').map((line) => {
    const { stream, seq, type, from, to, capability, status } = JSON.parse(line.record);
    return { stream, seq, type, from_agent: from ?? null, to_agent: to ?? null, capability: capability ?? null, status: status ?? null };
  });
  const { contracts, sessions } = tally(events);
  const n = (status: string) => contracts.filter((c) => c.status === status).reduce((sum, c) => sum + c.n, 0);
  expect([n('requested'), n('completed'), n('failed'), n('cancelled')]).toEqual([9, 7, 2, 0]);
  expect(sessions.map(({ state, n: sum }) => [state, sum]).sort()).toEqual([
    ['closed', 1],
    ['opened', 3],
  ]);
});
