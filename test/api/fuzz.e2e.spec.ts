import fc from 'fast-check';
import { Client } from 'undici';
import { type Document, operations, requestTo } from '../support/fuzz.js';
import { running } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';

/** Requests per operation. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 60);
const INSIDE = /\bat .+\.(?:ts|js):\d+|node_modules|SELECT |INSERT |\/dist\/|\/src\//;

/** What fills a path may lead to another route, or to none. */
const isElsewhere = ({ code, detail }: { code: string; detail: string }) =>
  code === 'method_not_allowed' || (code === 'not_found' && detail.startsWith('Cannot '));

jest.setTimeout(120_000);

describe('whatever is sent to any route of the OpenAPI document', () => {
  const app = running(anyPlace);

  it('is answered without an error of ours, and without a look inside', async () => {
    const document = (await app.get('/openapi.json')).body as Document;
    const all = operations(document);
    expect(all.map(({ method, path }) => `${method} ${path}`)).toEqual(
      expect.arrayContaining(['post /v1/orchestrate', 'get /v1/contracts', 'get /v1/contracts/{id}', 'post /v1/sessions/{id}/close']),
    );
    const client = new Client(app.server.url, { pipelining: 1 });
    const statuses = new Map<number, number>();
    try {
      for (const operation of all) {
        await fc.assert(
          fc.asyncProperty(requestTo(operation, document), async ({ method, path, headers, body }) => {
            const answer = await client.request({ method: method as 'GET', path, headers, body: body ?? null });
            const text = await answer.body.text();
            statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
            const whole = `${answer.statusCode} ${text}`;
            expect(answer.statusCode === 503 || answer.statusCode < 500 ? 'well' : whole).toBe('well');
            if (answer.statusCode >= 400) {
              expect([whole, String(answer.headers['content-type'])]).toEqual([whole, expect.stringContaining('application/problem+json')]);
              expect(JSON.parse(text || '{"code":"HEAD"}')).toMatchObject({ code: expect.any(String) });
              expect(text).not.toMatch(INSIDE);
              const told = text === '' ? undefined : (JSON.parse(text) as { code: string; detail: string });
              const documented = operation.operation.responses[answer.statusCode]?.content?.['application/problem+json']?.examples ?? {};
              if (told && !isElsewhere(told))
                expect([whole, Object.keys(documented)]).toEqual([whole, expect.arrayContaining([told.code])]);
            }
          }),
          { numRuns: RUNS },
        );
      }
    } finally {
      await client.close();
    }
    // It got through to what it tests, and was not merely turned away at the door.
    expect(statuses.get(200)).toBeGreaterThan(0);
    expect(statuses.get(400)).toBeGreaterThan(0);
    expect((await app.get('/v1/health')).status).toBe(200);
  });
});
