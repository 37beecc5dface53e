import { eventFeed } from '../../../src/integration/agents/server-sent-events.js';

const TEXT = ': hello\r\nevent: x\r\ndata: onü\r\n\r\ndata:two\ndata:  lines\nid: 7\n\n\n\rdata: three\r\rdata: four\ndata: unfi';
const EVENTS = ['onü', 'two\n lines', 'three'];

function heard(pieces: readonly Buffer[]): { events: string[]; end: () => void } {
  const events: string[] = [];
  const feed = eventFeed((data) => events.push(data));
  for (const piece of pieces) feed.add(piece);
  return { events, end: feed.end };
}

it('takes a stream apart alike wherever it was cut, and however its lines end', () => {
  const bytes = Buffer.from(TEXT);
  for (let size = 1; size <= bytes.length; size++) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
    expect(heard(pieces).events).toEqual(EVENTS);
  }
});

it('hears at the end what stands there without its empty line, but no half line', () => {
  const { events, end } = heard([Buffer.from('data: whole\ndata: line\n')]);
  expect(events).toEqual([]);
  end();
  expect(events).toEqual(['whole\nline']);
  const half = heard([Buffer.from('data: ha')]);
  half.end();
  expect(half.events).toEqual([]);
});

it('takes no time by the square of an event that comes in small pieces', () => {
  const piece = Buffer.from('x'.repeat(16));
  const from = performance.now();
  const { events } = heard([Buffer.from('data: '), ...Array<Buffer>(200_000).fill(piece), Buffer.from('\n\n')]);
  expect(events[0]).toHaveLength(3_200_000);
  expect(performance.now() - from).toBeLessThan(5000);
});

it('refuses what is no UTF-8', () => {
  expect(() => heard([Buffer.from([0x64, 0xff])])).toThrow(expect.objectContaining({ code: 'invalid_json' }));
});
