import fc from 'fast-check';
import { type Intent, openLane, place, rowsOf, storedBytes } from '../../src/ledger/batch.js';
import { type Draft, disclose, type EventType, recordHash } from '../../src/ledger/record.js';
import { decide, emptyStream, evolve, type StreamState } from '../../src/ledger/stream.js';

let serial = 0;
const draft = (type: EventType, members: Draft['members'] = {}): Draft => ({
  id: String(++serial).padStart(26, '0'),
  type,
  time: '2026-11-20T10:00:00.000Z',
  members,
  disclosures: [],
});
const request = () => draft('contract.request');
const response = (to: string) => draft('contract.response', { in_reply_to: to });
const seal = () => draft('session.closed', { reason: 'requested' });

function given(...drafts: Draft[]): StreamState {
  const state = emptyStream();
  for (const each of drafts) evolve(state, each, Buffer.alloc(32));
  return state;
}

describe('a stream', () => {
  const asked = request();

  it.each([
    ['a REQUEST at its start', [], [request()], null],
    ['a RESPONSE to an open REQUEST', [asked], [response(asked.id)], null],
    ['a RESPONSE to a REQUEST of the same intent', [], [asked, response(asked.id)], null],
    ['a RESPONSE to what was never asked', [], [response('nothing')], 'not_open'],
    ['a second RESPONSE', [asked, response(asked.id)], [response(asked.id)], 'not_open'],
    ['two RESPONSEs at once', [asked], [response(asked.id), response(asked.id)], 'not_open'],
    ['a RESPONSE before its REQUEST', [], [response(asked.id), asked], 'not_open'],
    ['a seal while a REQUEST is open', [asked], [seal()], 'busy'],
    ['a seal after everything is answered', [asked, response(asked.id)], [seal()], null],
    ['the last RESPONSE and the seal at once', [asked], [response(asked.id), seal()], null],
    ['a REQUEST and the seal at once', [], [request(), seal()], 'busy'],
    ['a REQUEST after the seal', [request(), seal()].slice(1), [request()], 'closed'],
    ['a second seal', [seal()], [seal()], 'closed'],
    ['a REQUEST behind the seal of the same intent', [], [seal(), request()], 'closed'],
    ['two seals at once', [], [seal(), seal()], 'closed'],
    ['what is no contract after the seal', [seal()], [draft('session.compressed')], null],
  ])('decides on %s', (_what, before, drafts, expected) => {
    expect(decide(given(...before), drafts)?.code ?? null).toBe(expected);
  });

  it('takes an intent on a condition only where it stands', () => {
    expect(decide(given(request()), [request()], 1)).toBeNull();
    expect(decide(given(request()), [request()], 0)).toEqual({ code: 'moved', seq: 1 });
  });
});

/** Commands of callers who know nothing of the rules. */
const anyCommand = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'request' as const }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('response' as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'seal' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'both' as const }) },
);

describe('whatever callers want', () => {
  it('a lane keeps: gapless seq, linked records, one RESPONSE per REQUEST, nothing after the seal, a state that follows from its records', () => {
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 40 }), (commands) => {
        const lane = openLane('default/session/01KB0000000000000000000000', emptyStream());
        const requests: string[] = [];
        for (const command of commands) {
          const fresh = request();
          const drafts =
            command.kind === 'request'
              ? [fresh]
              : command.kind === 'both'
                ? [fresh, response(fresh.id)]
                : command.kind === 'seal'
                  ? [seal()]
                  : [response(requests[command.which % Math.max(1, requests.length)] ?? 'nothing')];
          const before = { ...lane.state, open: new Set(lane.state.open) };
          const result = place(lane, { stream: lane.stream, drafts });
          if (!Array.isArray(result))
            expect(lane.state).toEqual(before); // a refusal changes nothing
          else if (command.kind === 'request' || command.kind === 'both') requests.push(fresh.id);
        }
        const open = new Set<string>();
        const answered = new Set<string>();
        let prev: string | null = null;
        let sealed = false;
        lane.placed.forEach(({ bytes, hash, seq }, i) => {
          const record = JSON.parse(bytes.toString('utf8')) as Record<string, string | number | null>;
          expect([record['seq'], seq, record['prev']]).toEqual([i + 1, i + 1, prev]);
          prev = recordHash(bytes).toString('hex');
          expect(hash.toString('hex')).toBe(prev);
          expect(sealed).toBe(false);
          if (record['type'] === 'contract.request') open.add(String(record['id']));
          if (record['type'] === 'contract.response') {
            expect(open.delete(String(record['in_reply_to']))).toBe(true);
            expect(answered.has(String(record['in_reply_to']))).toBe(false);
            answered.add(String(record['in_reply_to']));
          }
          if (record['type'] === 'session.closed') {
            sealed = true;
            expect(open.size).toBe(0);
            expect([record['last_seq'] ?? null, record['last_head'] ?? null]).toEqual(i === 0 ? [null, null] : [i, record['prev']]);
          }
        });
        expect(lane.state.open).toEqual(open);
        expect([lane.state.seq, lane.state.head?.toString('hex') ?? null, lane.state.seal !== null]).toEqual([
          lane.placed.length,
          prev,
          sealed,
        ]);
      }),
      { numRuns: 300 },
    );
  });

  it('a record has its disclosures as sorted digests and nothing of their content', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }), fc.jsonValue(), { maxKeys: 6 }), (payload) => {
        const disclosures = Object.entries(payload).map(([name, value]) =>
          disclose('AAAAAAAAAAAAAAAAAAAAAA', `secret-${name}`, JSON.parse(JSON.stringify(value))),
        );
        const lane = openLane('default/session/01KB0000000000000000000000', emptyStream());
        place(lane, { stream: lane.stream, drafts: [{ ...request(), disclosures }] });
        const text = lane.placed[0]!.bytes.toString('utf8');
        const record = JSON.parse(text) as { _sd?: string[] };
        expect(record._sd ?? []).toEqual(disclosures.map((d) => d.digest).sort());
        expect(text).not.toContain('secret-');
      }),
    );
  });

  it('what is stored of a disclosure is sealed once for a key, and again for another', () => {
    const part = disclose('AAAAAAAAAAAAAAAAAAAAAA', 'parameters', 1);
    const sealed: string[] = [];
    const key = (id: string) => ({
      id,
      fresh: null,
      seal: (name: string, bytes: Buffer) => Buffer.from(`${sealed.push(id)} ${id} ${name} ${bytes.toString()}`),
    });
    const text = (id: string) => storedBytes(part, key(id)).toString();
    expect([text('a'), text('a'), text('b')]).toEqual([
      '1 a parameters ["AAAAAAAAAAAAAAAAAAAAAA","parameters",1]',
      '1 a parameters ["AAAAAAAAAAAAAAAAAAAAAA","parameters",1]',
      '2 b parameters ["AAAAAAAAAAAAAAAAAAAAAA","parameters",1]',
    ]);
    expect(storedBytes(part, undefined)).toBe(part.bytes);
    expect(sealed).toEqual(['a', 'b']);
  });

  it('the parameters of the append statement have one row per stream, event, payload and open REQUEST', () => {
    const lanes = ['a', 'b'].map((name) => openLane(`default/session/${name}`, emptyStream()));
    const intents: Intent[] = lanes.flatMap((lane) => {
      const first = { ...request(), disclosures: [disclose('AAAAAAAAAAAAAAAAAAAAAA', 'parameters', 1)] };
      return [
        { stream: lane.stream, drafts: [first], open: { owner: 'me', seconds: 1 } },
        { stream: lane.stream, drafts: [response(first.id)] },
        { stream: lane.stream, drafts: [request()], open: { owner: 'me', seconds: 2 } },
      ];
    });
    for (const intent of intents) place(lanes.find((l) => l.stream === intent.stream)!, intent);
    const rows = rowsOf(lanes);
    expect(Object.fromEntries(Object.entries(rows).map(([kind, { length }]) => [kind, length]))).toEqual({
      heads: 2,
      events: 6,
      payloads: 2,
      opens: 2,
      uses: 0,
      names: 0,
      keys: 0,
    });
  });
});
