import { type HttpAnswer, healthOf, verdictOf } from '../../../src/integration/trace/trace-answer.js';

const NOW = Date.UTC(2026, 10, 20, 10, 0, 0);
const OK = '{"status":"ok","message":"Event added","event_type":"contract.request"}';
const answer = (status: number, body = '', retryAfter?: string): HttpAnswer => ({ status, body, retryAfter });

describe('an answer of Trace', () => {
  it.each([200, 201, 202])('%i with {"status":"ok"} means that it has the event', (status) => {
    expect(verdictOf(answer(status, OK), NOW)).toEqual({ taken: true });
  });

  it.each([
    ['nothing', ''],
    ['a page', '<html>Welcome</html>'],
    ['JSON of another kind', '{"success":true}'],
    ['another status', '{"status":"error"}'],
    ['a cut answer', OK.slice(0, 20)],
  ])('200 with %s is nobody who has the event', (_, body) => {
    expect(verdictOf(answer(200, body), NOW)).toEqual({ trouble: expect.stringContaining('is TRACE_URL right'), wait: 0 });
  });

  it.each([301, 302, 303, 307, 308])('%i is not followed, and no verdict on the event', (status) => {
    expect(verdictOf(answer(status), NOW)).toEqual({ trouble: expect.stringContaining('redirects are not followed'), wait: 0 });
  });

  it.each([401, 402, 403, 407, 408, 421, 425, 429, 500, 502, 503, 504, 507, 511, 599])('%i concerns every event or passes', (status) => {
    expect(verdictOf(answer(status, '{"detail":"no"}'), NOW)).toEqual({ trouble: expect.stringContaining(String(status)), wait: 0 });
  });

  it.each([400, 404, 405, 406, 409, 410, 411, 413, 414, 415, 418, 422, 431, 451, 501, 505])('%i refuses this event', (status) => {
    expect(verdictOf(answer(status, '{"detail":"no"}'), NOW)).toEqual({ refused: `HTTP ${status}`, status });
  });

  it('never repeats the body, which may quote what was sent', () => {
    for (const status of [200, 302, 400, 422, 429, 500]) {
      expect(JSON.stringify(verdictOf(answer(status, 'patient: Jane Doe'), NOW))).not.toContain('Jane');
    }
  });

  it.each([
    ['120', 120_000],
    [' 7 ', 7000],
    ['0', 0],
    ['86400', 300_000],
    ['Fri, 20 Nov 2026 10:00:42 GMT', 42_000],
    ['Fri, 20 Nov 2026 09:00:00 GMT', 0],
    ['Sat, 21 Nov 2026 10:00:00 GMT', 300_000],
    ['soon', 0],
    ['-5', 0],
    ['', 0],
  ])('Retry-After: %j is waited for, within five minutes', (header, wait) => {
    expect(verdictOf(answer(503, '', header), NOW)).toMatchObject({ wait });
    expect(verdictOf(answer(429, '', header), NOW)).toMatchObject({ wait });
  });

  it('at /v1/health tells a Trace that is well from one that is not, and from something else', () => {
    expect(healthOf(answer(200, '{"status":"healthy","service":"trace-http-wrapper"}'), NOW)).toEqual({ taken: true });
    expect(healthOf(answer(200, '<html>'), NOW)).toMatchObject({ trouble: expect.stringContaining('is TRACE_URL right') });
    expect(healthOf(answer(404, '{"detail":"Not Found"}'), NOW)).toMatchObject({ trouble: expect.stringContaining('is TRACE_URL right') });
    expect(healthOf(answer(503, '', '3'), NOW)).toEqual({ trouble: expect.stringContaining('503'), wait: 3000 });
    expect(healthOf(answer(302), NOW)).toHaveProperty('trouble');
  });
});
