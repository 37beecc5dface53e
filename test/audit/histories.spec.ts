/**
 * Histories that earlier versions wrote, named by the version. Every build reads them: what was recorded then must mean the same now. Files
 * are added (`agent-orchestrator replay record`), never made again.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HistoryCheck, type HistoryLine } from '../../src/audit/replay-history.js';
import { tally } from '../../src/contracts/tally.js';
import { isCanonical } from '../../src/kernel/canonical.js';

const directory = join(__dirname, 'histories');
const histories = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));

const textsOf = (name: string) => readFileSync(join(directory, name), 'utf8').trimEnd().split('\n');
const linesOf = (name: string) =>
  textsOf(name)
    .map((line) => JSON.parse(line) as HistoryLine)
    .filter(({ record }) => record !== undefined);

it('there are recorded histories', () => {
  expect(histories).toEqual(expect.arrayContaining(['0.1.0-first-contracts.jsonl', '0.1.0-retried-and-erased.jsonl']));
});

describe.each(histories)('%s', (name) => {
  it('is written again byte for byte by this version, and means what it says it meant', () => {
    const check = new HistoryCheck();
    textsOf(name).forEach((text, i) => {
      check.line(i + 1, text);
    });
    expect(check.report()).toMatchObject({ events: linesOf(name).length, unexplained: 0, unchecked: 0, findings: [] });
    for (const { record, disclosures } of linesOf(name))
      expect([record, ...disclosures].map(isCanonical)).toEqual([true, ...disclosures.map(() => true)]);
  });
});

/** How many contracts ended how, and what became of the sessions. */
function added(name: string) {
  const events = linesOf(name).map((line) => {
    const { stream, seq, type, from, to, capability, status } = JSON.parse(line.record);
    return { stream, seq, type, from_agent: from ?? null, to_agent: to ?? null, capability: capability ?? null, status: status ?? null };
  });
  const { contracts, sessions } = tally(events);
  const n = (status: string) => contracts.filter((c) => c.status === status).reduce((sum, c) => sum + c.n, 0);
  return {
    contracts: [n('requested'), n('completed'), n('failed'), n('cancelled')],
    sessions: sessions.map(({ state, n: sum }) => [state, sum]).sort(),
  };
}

it('0.1.0-first-contracts adds up to what was done then', () => {
  const sessions = [
    ['closed', 1],
    ['opened', 3],
  ];
  expect(added('0.1.0-first-contracts.jsonl')).toEqual({ contracts: [9, 7, 2, 0], sessions });
});

it('0.1.0-retried-and-erased adds up to what was done then, and still says that something was erased and why', () => {
  const name = '0.1.0-retried-and-erased.jsonl';
  const sessions = [
    ['closed', 1],
    ['opened', 1],
  ];
  expect(added(name)).toEqual({ contracts: [9, 4, 5, 0], sessions });
  expect(linesOf(name).flatMap(({ gone = [] }) => gone)).toEqual(Array(3).fill(expect.stringMatching(/^erased at .*: Art\. 17$/)));
  expect(JSON.parse(textsOf(name).at(-1)!)).toMatchObject({
    states: [{ tasks: 7, contracts: { requested: 9, completed: 4, failed: 5, pending: 0 }, memory: { from_seq: 1, to_seq: 18 } }],
  });
});
