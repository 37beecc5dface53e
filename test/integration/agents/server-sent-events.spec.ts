import { EventStream } from '../../../src/integration/agents/server-sent-events.js';

const TEXT = ': hello\r\nevent: x\r\ndata: one\r\n\r\ndata:two\ndata:  lines\nid: 7\n\n\n\rdata: three\r\rdata\ndata: unfinished';
const EVENTS = ['one', 'two\n lines', 'three'];

it('takes a stream apart, however its lines end', () => {
  expect(new EventStream().add(TEXT)).toEqual(EVENTS);
});

it('takes it apart alike wherever it was cut', () => {
  for (let size = 1; size < TEXT.length; size++) {
    const stream = new EventStream();
    const events: string[] = [];
    for (let i = 0; i < TEXT.length; i += size) events.push(...stream.add(TEXT.slice(i, i + size)));
    expect(events).toEqual(EVENTS);
  }
});
