import fc from 'fast-check';
import { type Forwarded, pathSegment, traceMessage, traceSession } from '../../../src/integration/trace/trace-message.js';

const STREAM = 'default/session/01KB0000000000000000000000';
const REQUEST: Forwarded = {
  event_id: '01KB0000000000000000000002',
  stream: STREAM,
  seq: 1,
  type: 'contract.request',
  time: '2026-11-20T10:00:00.000Z',
  task: '01KB0000000000000000000001',
  in_reply_to: null,
  from_agent: 'orchestrator',
  to_agent: 'agent_example_001',
  capability: 'echo',
  status: 'pending',
  error_code: null,
  hash: 'ab',
  prev: null,
  idx: 7,
  session: 'first',
  payload: { parameters: { text: 'hello' } },
  erased: false,
  parent: null,
};
const RESPONSE: Forwarded = {
  ...REQUEST,
  event_id: '01KB0000000000000000000003',
  seq: 2,
  type: 'contract.response',
  in_reply_to: REQUEST.event_id,
  from_agent: 'agent_example_001',
  to_agent: 'orchestrator',
  status: 'failed',
  error_code: 'agent_failed',
  hash: 'cd',
  prev: 'ab',
  idx: 8,
  payload: { error: { code: 'agent_failed', message: 'no' } },
};

/** What the path means to whoever takes it apart as browsers, Node and servers do. */
const readBack = (sid: string) => {
  const { pathname } = new URL(`v1/sessions/${pathSegment(sid)}/events`, 'http://trace:8787/');
  return decodeURIComponent(/^\/v1\/sessions\/([^/]+)\/events$/.exec(pathname)?.[1] ?? '(another path)');
};

describe('what Trace is told', () => {
  it('of a REQUEST is its place, its hash and its parameters, and a node of the call tree', () => {
    const { sid, event, node } = traceMessage(REQUEST);
    expect(sid).toBe('first');
    expect(event).toEqual({
      event_type: 'contract.request',
      data: {
        contract_id: REQUEST.event_id,
        session_id: 'first',
        from_agent: 'orchestrator',
        to_agent: 'agent_example_001',
        capability: 'echo',
        payload: { text: 'hello' },
        status: 'pending',
        result: null,
        error: null,
        error_code: null,
        task_id: REQUEST.task,
        in_reply_to: null,
        event_id: REQUEST.event_id,
        stream: STREAM,
        seq: 1,
        hash: 'ab',
        prev: null,
        idx: 7,
        occurred_at: REQUEST.time,
        erased: false,
      },
    });
    expect(node).toMatchObject({ session_id: 'first', node_id: REQUEST.event_id, parent_id: null, modifiers: {} });
    expect(traceMessage({ ...REQUEST, parent: 'P' }).node).toMatchObject({ parent_id: 'P' });
  });

  it('of a RESPONSE belongs to the same contract, and makes no node', () => {
    const { event, node } = traceMessage(RESPONSE);
    expect(node).toBeNull();
    expect(event).toMatchObject({
      event_type: 'contract.response',
      data: {
        contract_id: REQUEST.event_id,
        in_reply_to: REQUEST.event_id,
        status: 'failed',
        error: 'no',
        error_code: 'agent_failed',
        result: null,
        payload: null,
      },
    });
  });

  it('of what was erased is the rest, and that it was erased', () => {
    expect(traceMessage({ ...REQUEST, payload: {}, erased: true }).event.data).toMatchObject({ payload: null, erased: true, hash: 'ab' });
    const nameless = traceMessage({ ...REQUEST, session: null });
    expect(nameless.sid).toBe('01KB0000000000000000000000');
    expect(nameless.event.data).toMatchObject({ session_id: null, erased: true });
  });

  it('keeps tenants apart', () => {
    expect(traceSession('acme/session/01KB', 'first')).toBe('acme:first');
    expect(traceSession(STREAM, 'first')).toBe('first');
  });

  it('names any session in one segment of the path', () => {
    const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 128 }).filter((text) => !['.', '..'].includes(text));
    fc.assert(fc.property(name, (sid) => readBack(sid) === sid));
    for (const sid of ['a/b', '../../health', 'a%2Fb', '%', '?x=1', '#', 'ü 😀', '...', '%2E']) expect(readBack(sid)).toBe(sid);
  });

  it('names the two sessions no URL can name %2E and %2E%2E', () => {
    expect([readBack('.'), readBack('..')]).toEqual(['%2E', '%2E%2E']);
  });
});
