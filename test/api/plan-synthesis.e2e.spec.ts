import type { PlanResult } from '../../src/orchestration/plan-result.js';
import { contractsIn, fails, hangs, type MessagesApi, saysText, startMessagesApi, textOf } from '../support/messages-api.js';
import { type Answer, type Body, running } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';
import { aHash, recorded } from '../support/recorded.js';

type Said = { text: string; contracts: string[] };

const says = (make: (contracts: string[]) => Said[]) => saysText((asked) => JSON.stringify({ statements: make(contractsIn(asked)) }));
const echo = (text: string): Body => ({ capability: 'echo', parameters: { text } });
const steps = [echo('seven 7'), echo('eleven 11'), { capability: 'refuses' }];

describe('a plan of which a language model makes one answer', () => {
  let api: MessagesApi;
  beforeAll(async () => {
    api = await startMessagesApi();
  });
  afterAll(() => api.close());
  const ao = running(anyPlace, async () => ({
    ANTHROPIC_API_KEY: 'sk-test',
    ANTHROPIC_BASE_URL: api.url,
    ANTHROPIC_TIMEOUT_SECONDS: '2',
    ANTHROPIC_MAX_RETRIES: '0',
  }));
  const run = async (session_id: string, more: Body = {}) =>
    (await ao.orchestrate({ session_id, plan: { mode: 'parallel', aggregate: 'llm', steps }, ...more })) as unknown as Omit<
      Answer,
      'data'
    > & {
      data: PlanResult & { aggregated_result: { text: string; statements: Said[]; removed: (Said & { reason: string })[] } };
    };

  it('answers with statements that cite the contracts of its steps, and takes out what does not hold', async () => {
    api.next(
      says(([one, two, three]) => [
        { text: 'One agent said 7, another 11.', contracts: [one!, two!] },
        { text: 'One agent said 12.', contracts: [one!] },
        { text: 'The third could not do it.', contracts: [three!] },
        { text: 'A fourth agreed.', contracts: ['01ARZ3NDEKTSV4RRFFQ69G5FAV'] },
        { text: 'It was step2.', contracts: [one!] },
      ]),
    );
    const { success, data, receipt, contract_id } = await run('cited', { intent: 'to know <both>' });
    const ids = data.individual_results.map((r) => r.contract_id!);
    expect(success).toBe(true);
    expect(data.aggregated_result).toEqual({
      text: 'One agent said 7, another 11. The third could not do it.',
      statements: [
        { text: 'One agent said 7, another 11.', contracts: [ids[0], ids[1]] },
        { text: 'The third could not do it.', contracts: [ids[2]] },
      ],
      removed: [
        { text: 'One agent said 12.', contracts: [ids[0]], reason: expect.stringContaining('figure 12') },
        {
          text: 'A fourth agreed.',
          contracts: ['01ARZ3NDEKTSV4RRFFQ69G5FAV'],
          reason: expect.stringContaining('no contract of the source'),
        },
        { text: 'It was step2.', contracts: [ids[0]], reason: expect.stringContaining('figure 2') },
      ],
      model: 'claude-sonnet-5-5',
      prompt_hash: aHash,
      tokens_in: 180,
      tokens_out: 20,
    });
    const prompt = textOf(api.asked.at(-1)!);
    expect(prompt).toContain('\\u003cboth>');
    expect(prompt).toMatch(/"error_code":"agent_failed"/);
    const [response] = await recorded(ao.db, 'e.in_reply_to = $1', [contract_id]);
    expect(response!.hash).toBe(receipt.hash);
    expect(response!.payload['result']).toMatchObject({ aggregate: 'llm', synthesis: data.aggregated_result });
  });

  it('asks once more when the answer has not the form', async () => {
    const before = api.asked.length;
    api.next(
      saysText('no JSON'),
      says(([one]) => [{ text: 'It answered.', contracts: [one!] }]),
    );
    expect((await run('repaired')).data.aggregated_result.text).toBe('It answered.');
    expect(api.asked.length - before).toBe(2);
  });

  it.each<[string, Parameters<MessagesApi['next']>[0], RegExp, number]>([
    ['is away', fails(529, 'overloaded_error'), /HTTP 529/, 10],
    ['cites nothing that holds', says(() => [{ text: 'All is well.', contracts: [] }]), /nothing it said could be kept/, 10],
    ['is slower than the time of the task', hangs, /the time of the task was over/, 1.5],
  ])('that %s fails with what the steps said', async (what, manner, message, timeout_seconds) => {
    api.next(manner);
    const { success, error_code, error, data } = await run(what, { timeout_seconds });
    expect([success, error_code, error]).toEqual([false, 'synthesis_failed', expect.stringMatching(message)]);
    expect([data.aggregated_result, data.individual_results.map((r) => r.status)]).toEqual([null, ['completed', 'completed', 'failed']]);
  });

  it('is not asked for an answer when no step completed', async () => {
    const before = api.asked.length;
    const plan = { mode: 'parallel', aggregate: 'llm', steps: [{ capability: 'refuses' }] };
    expect(await ao.orchestrate({ session_id: 'none', plan })).toMatchObject({ success: false, error_code: 'step_failed' });
    expect(api.asked.length).toBe(before);
  });
});
