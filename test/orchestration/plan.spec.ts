import fc from 'fast-check';
import type { OrchestratorError } from '../../src/kernel/errors.js';
import type { JsonValue } from '../../src/kernel/json.js';
import { callsOf, readPlan, type WrittenPlan, type WrittenStep } from '../../src/orchestration/plan.js';
import { type Ended, notRun, resultOf, type Said, type StepEnd, shortfall } from '../../src/orchestration/plan-result.js';
import { filled, tokensOf, valueAt } from '../../src/orchestration/pointer.js';

const echo: WrittenStep = { capability: 'echo' };
const from = (text: string): WrittenStep => ({ capability: 'echo', parameters: { x: { $from: text } } });
const sequence = (...steps: WrittenStep[]): WrittenPlan => ({ mode: 'sequential', steps });
const atOnce = (...steps: WrittenStep[]): WrittenPlan => ({ mode: 'parallel', steps });

function fieldsOf(plan: WrittenPlan): string[] {
  try {
    readPlan(plan);
    return [];
  } catch (error) {
    expect((error as OrchestratorError).code).toBe('invalid_request');
    return (error as OrchestratorError).fields!.map(({ field }) => field);
  }
}

describe('a plan that is read', () => {
  it('names and places its steps by their numbers, inner ones by both', () => {
    const group = readPlan(sequence(echo, { plan: atOnce(echo, { ...echo, name: 'own' }) }, echo));
    expect(callsOf(group).map(({ name, place }) => [name, place])).toEqual([
      ['step1', '1'],
      ['step2_1', '2.1'],
      ['own', '2.2'],
      ['step3', '3'],
    ]);
  });

  it.each<[string, WrittenPlan, boolean]>([
    ['a sequence', sequence(echo), true],
    ['steps at once', atOnce(echo), false],
    ['a sequence of which the first success counts', { ...sequence(echo), aggregate: 'first_success' }, false],
    ['a sequence whose step says continue', sequence({ ...echo, on_failure: 'continue' }), false],
    ['steps at once of which one says stop', atOnce({ ...echo, on_failure: 'stop' }), true],
  ])('of %s knows whether a failure stops it', (_what, plan, stops) => {
    expect(readPlan(plan).steps.map((step) => step.stops)).toEqual([stops]);
  });

  it('runs a sequence one by one, and steps at once ten at a time unless told', () => {
    expect(readPlan({ ...sequence(echo), max_parallel: 5 }).width).toBe(1);
    expect(readPlan(atOnce(echo)).width).toBe(10);
    expect(readPlan({ ...atOnce(echo), max_parallel: 3 }).width).toBe(3);
  });

  it.each<[string, WrittenPlan, string[]]>([
    ['points into an earlier step', sequence(echo, from('step1.result')), []],
    [
      'points into a step within an earlier one, and into that',
      sequence({ plan: atOnce(echo) }, from('step1_1.text'), from('step1.result')),
      [],
    ],
    ['points from within into an earlier step', sequence(echo, { plan: atOnce(from('step1.result')) }), []],
    ['points at itself', sequence(from('step1.result')), ['plan.steps.0.parameters/x/$from']],
    ['points at a later step', sequence(from('step2.result'), echo), ['plan.steps.0.parameters/x/$from']],
    ['points at a step beside it', atOnce(echo, from('step1.result')), ['plan.steps.1.parameters/x/$from']],
    ['points at a step that is not there', sequence(echo, from('other.result')), ['plan.steps.1.parameters/x/$from']],
    ['points with what is no pointer', sequence(echo, from('step1..result')), ['plan.steps.1.parameters/x/$from']],
    [
      'puts something beside a pointer',
      sequence(echo, { capability: 'echo', parameters: { list: [{ $from: 'step1', more: 1 }] } }),
      ['plan.steps.1.parameters/list/0/$from'],
    ],
    ['points with a number', sequence(echo, { capability: 'echo', parameters: { $from: 1 } }), ['plan.steps.1.parameters/$from']],
    [
      'names two steps the same',
      sequence({ ...echo, name: 'a' }, { plan: atOnce({ ...echo, name: 'a' }) }),
      ['plan.steps.1.plan.steps.0.name'],
    ],
    ['takes the name another has by its number', sequence({ ...echo, name: 'step2' }, echo), ['plan.steps.1.name']],
    ['has more calls than allowed', sequence({ plan: atOnce(...Array(30).fill(echo)) }, ...Array(21).fill(echo)), ['plan.steps']],
  ])('that %s is refused where that is wrong, naming each field', (_what, plan, fields) => {
    expect(fieldsOf(plan)).toEqual(fields);
  });
});

describe('a pointer', () => {
  const value: JsonValue = { a: { b: [10, { 'c.d': 'deep', '': 'empty', 'e/f~g': 1 }] }, '01': 'x', nothing: null };

  it.each<[string, JsonValue | undefined]>([
    ['a.b.0', 10],
    ['a.b.1', { 'c.d': 'deep', '': 'empty', 'e/f~g': 1 }],
    ['/a/b/1/c.d', 'deep'],
    ['/a/b/1/', 'empty'],
    ['/a/b/1/e~1f~0g', 1],
    ['nothing', null],
    ['01', 'x'],
    ['a.b.00', undefined],
    ['a.b.-', undefined],
    ['a.b.2', undefined],
    ['a.b.length', undefined],
    ['a.toString', undefined],
    ['a.__proto__', undefined],
    ['nothing.more', undefined],
    ['a.b.0.more', undefined],
  ])('%s finds what RFC 6901 finds: %j', (text, found) => {
    expect(valueAt(value, tokensOf(text)!)).toEqual(found);
  });

  it.each(['', '.', 'a.', '.a', 'a..b', '/', '/~', '/a~2'])('%j is none', (text) => {
    expect(tokensOf(text)).toBeUndefined();
  });

  it('reaches every member of any value by its JSON Pointer', () => {
    const walk = (at: JsonValue, pointer: string): [string, JsonValue][] => {
      if (typeof at !== 'object' || at === null) return [[pointer, at]];
      const members = Object.entries(at).map(([k, v]) =>
        walk(v as JsonValue, `${pointer}/${k.replaceAll('~', '~0').replaceAll('/', '~1')}`),
      );
      return [[pointer, at], ...members.flat()];
    };
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        const scope = { s: json as JsonValue };
        for (const [pointer, found] of walk(scope.s, '/s')) expect(valueAt(scope, tokensOf(pointer)!)).toEqual(found);
      }),
    );
  });

  it('is replaced wherever it stands, and nothing else is changed', () => {
    const scope = { s: { result: { n: 1, list: [true] } } };
    const parameters = { a: { $from: 's.result.n' }, b: [{ $from: 's.result.list' }, 'text'], c: { $form: 's.result' } };
    expect(filled(parameters, scope)).toEqual({ parameters: { a: 1, b: [[true], 'text'], c: { $form: 's.result' } } });
    expect(filled({ $from: 's.result' }, scope)).toEqual({ parameters: { n: 1, list: [true] } });
    expect(filled({ a: { $from: 's.result' } }, { s: { result: null } })).toEqual({ parameters: { a: null } }); // a value as any other
  });

  it('that finds nothing, or more than a caller could have sent, is told in words', () => {
    expect(filled({ a: { $from: 's.gone' } }, { s: {} })).toEqual({ problem: expect.stringContaining('"s.gone"') });
    for (const s of [null, 'text', [1]])
      expect(filled({ $from: 's' }, { s })).toEqual({ problem: '"s" is no object, and parameters must be one' });
    const large = { s: 'x'.repeat(600_000) };
    expect(filled({ a: { $from: 's' } }, large)).toHaveProperty('parameters');
    expect(filled({ a: { $from: 's' }, b: { $from: 's' } }, large)).toEqual({ problem: expect.stringContaining('1048576 bytes') });
    let deep: JsonValue = 0;
    for (let i = 0; i < 63; i++) deep = [deep];
    expect(filled({ a: { $from: 's' } }, { s: deep })).toHaveProperty('parameters');
    expect(filled({ a: { $from: 's' } }, { s: [deep] })).toEqual({ problem: expect.stringContaining('64 levels') });
  });
});

describe('what came of a plan', () => {
  const end = (name: string, status: StepEnd['status'], contract_id: string | null = `of ${name}`): StepEnd => ({
    name,
    status,
    contract_id,
  });
  const said = (agent_id: string, result: JsonValue, code?: 'agent_failed'): Said => ({
    agent_id,
    capability: 'c',
    outcome: code ? { status: 'failed', code, message: 'no' } : { status: 'completed', result },
  });
  const spoken = new Map([
    ['of a', said('one', 1)],
    ['of b', said('two', 2)],
    ['of c', said('three', null, 'agent_failed')],
    ['of d', said('three', null, 'agent_failed')],
  ]);
  const ended = (more: Partial<Ended> = {}): Ended => ({
    aggregate: 'all',
    steps: [end('a', 'completed'), end('b', 'completed'), end('c', 'failed'), end('d', 'failed')],
    ...more,
  });

  it('is all results by name, each agent that failed once, and the share that completed', () => {
    const { aggregated_result, failed_agents, success_rate, individual_results } = resultOf(ended(), spoken);
    expect([aggregated_result, failed_agents, success_rate]).toEqual([{ a: 1, b: 2 }, ['three'], 0.5]);
    expect(individual_results[2]).toEqual({
      name: 'c',
      status: 'failed',
      contract_id: 'of c',
      agent_id: 'three',
      capability: 'c',
      result: null,
      text: null,
      files: [],
      error: 'no',
      error_code: 'agent_failed',
    });
  });

  it('is the result of whoever was first, not of the first step', () => {
    expect(resultOf(ended({ aggregate: 'first_success', first: 'b' }), spoken).aggregated_result).toBe(2);
  });

  it('counts calls within steps, and gives the step what they make together', () => {
    const group = { name: 'g', status: 'completed' as const, contract_id: null, steps: [end('a', 'completed'), end('c', 'failed')] };
    const result = resultOf({ aggregate: 'all', steps: [group, end('b', 'completed')] }, spoken);
    expect([result.aggregated_result, result.success_rate]).toEqual([{ g: { a: 1 }, b: 2 }, 2 / 3]);
    const first = resultOf({ aggregate: 'all', steps: [{ ...group, first: 'a' }] }, spoken);
    expect(first.aggregated_result).toEqual({ g: 1 });
  });

  it('of nothing completed is null', () => {
    expect(resultOf(ended({ steps: [end('c', 'failed')] }), spoken).aggregated_result).toBeNull();
  });

  it.each<[string, WrittenPlan, StepEnd['status'][], string | null]>([
    ['everything completed', sequence(echo, echo), ['completed', 'completed'], null],
    ['a step that may fail failed', sequence({ ...echo, on_failure: 'continue' }, echo), ['failed', 'completed'], null],
    ['nothing completed that had to', atOnce(echo, echo), ['failed', 'failed'], 'no step completed'],
    ['a step failed that stops', sequence(echo, echo, echo), ['completed', 'failed', 'not_run'], 'step "step2" failed'],
    [
      'one failed and the others were cancelled for it',
      atOnce({ ...echo, on_failure: 'stop' }, { ...echo, on_failure: 'stop' }),
      ['cancelled', 'failed'],
      'step "step2" failed',
    ],
    ['the first success came last', { ...sequence(echo, echo), aggregate: 'first_success' }, ['failed', 'completed'], null],
    ['no success came', { ...sequence(echo, echo), aggregate: 'first_success' }, ['failed', 'failed'], 'no step completed'],
  ])('when %s: %s', (_what, plan, statuses, lacking) => {
    const ends = statuses.map((status, i) => end(`step${i + 1}`, status));
    expect(shortfall(readPlan(plan), ends)).toBe(lacking);
  });

  it('tells of a step that was not run why, and of those in it', () => {
    const [step] = readPlan(sequence({ plan: atOnce(echo) })).steps;
    expect(notRun(step!, 'why')).toEqual({
      name: 'step1',
      status: 'not_run',
      contract_id: null,
      error: 'why',
      steps: [{ name: 'step1_1', status: 'not_run', contract_id: null, error: 'why' }],
    });
  });
});
