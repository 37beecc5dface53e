import { createHash } from 'node:crypto';
import { newId, newSpanId, newTraceId } from '../../src/kernel/ids.system.js';
import { readTrace, spanOf, traceparent } from '../../src/kernel/trace.js';

const ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';

describe('a traceparent', () => {
  it.each([
    ['of version 00', `00-${ID}-${PARENT}-01`, true],
    ['not sampled', `00-${ID}-${PARENT}-00`, false],
    ['with flags nobody knows yet', `00-${ID}-${PARENT}-fe`, false],
    ['of a version to come', `01-${ID}-${PARENT}-03`, true],
    ['of a version to come that says more', `cc-${ID}-${PARENT}-01-what-the-future-will-be-like`, true],
  ])('%s is read', (_what, header, sampled) => {
    expect(readTrace(header, undefined)).toEqual({ id: ID, sampled });
  });

  it.each([
    ['absent', undefined],
    ['empty', ''],
    ['of version ff', `ff-${ID}-${PARENT}-01`],
    ['of version 00 that says more', `00-${ID}-${PARENT}-01-more`],
    ['of a version to come without a dash before more', `01-${ID}-${PARENT}-01x`],
    ['with a trace id of zeros', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['with a parent id of zeros', `00-${ID}-${'0'.repeat(16)}-01`],
    ['in upper case', `00-${ID.toUpperCase()}-${PARENT}-01`],
    ['with a short trace id', `00-${ID.slice(1)}-${PARENT}-01`],
    ['with flags of one digit', `00-${ID}-${PARENT}-1`],
    ['with a space before it', ` 00-${ID}-${PARENT}-01`],
    ['sent twice', `00-${ID}-${PARENT}-01, 00-${ID}-${PARENT}-01`],
    ['that is a list', [`00-${ID}-${PARENT}-01`]],
  ])('%s is no trace, whatever its state', (_what, header) => {
    expect(readTrace(header, 'vendor=1')).toBeNull();
  });

  it.each([
    ['kept as it came', 'congo=t61rcWkgMzE, rojo=00f067aa0ba902b7', 'congo=t61rcWkgMzE, rojo=00f067aa0ba902b7'],
    ['kept up to 512 characters', `a=${'x'.repeat(510)}`, `a=${'x'.repeat(510)}`],
    ['dropped beyond', `a=${'x'.repeat(511)}`, undefined],
    ['dropped when it is not printable ASCII', 'a=ü', undefined],
    ['dropped when empty', '', undefined],
  ])('has a state that is %s', (_what, header, state) => {
    expect(readTrace(`00-${ID}-${PARENT}-01`, header)?.state).toBe(state);
  });

  it('that is written can be read', () => {
    for (let i = 0; i < 1000; i++) {
      const trace = { id: newTraceId(), sampled: i % 2 === 0 };
      expect(readTrace(traceparent(trace, i % 3 === 0 ? newSpanId() : spanOf(newId())), undefined)).toEqual(trace);
    }
  });
});

it('the span of a contract is the first 16 hex digits of the SHA-256 of its id', () => {
  const id = newId();
  expect(spanOf(id)).toBe(createHash('sha256').update(id).digest('hex').slice(0, 16));
});
