/**
 * The check of a summarizer's statements against what it was given. It shows that every citation names a contract of the source and that
 * every figure stands in a cited one; that the words follow from them it cannot show, and nothing here says so.
 */
import { allStatements, type MemoryContent, SECTIONS, type Section, type Statement, type Statements, sectionwise } from './block.js';
import { cut, render, type SourceContract } from './source.js';

/** What may be cited: any id that stands for a contract, and what is known of the contract. */
export interface Evidence {
  /** Id of the REQUEST. */
  readonly contract: string;
  readonly seq: number;
  readonly text: string;
  readonly carried: boolean;
}

export interface Checked {
  readonly kept: Statements;
  readonly removed: MemoryContent['removed'];
}

type Citable = Pick<MemoryContent, Section | 'citations'>;

/**
 * The contracts of the range, by either half's id, and those the previous block cited. Of the latter only what that block said is known, so
 * a statement about them rests on statements that were checked when their contracts were read.
 */
export function evidenceOf(contracts: readonly SourceContract[], previous: Citable | null): Map<string, Evidence> {
  const evidence = new Map<string, Evidence>();
  if (previous) {
    const said = new Map<string, string>();
    for (const { text, contracts: cited } of SECTIONS.flatMap((section) => previous[section]))
      for (const id of cited) said.set(id, `${said.get(id) ?? ''}${text}\n`);
    for (const { contract_id, seq } of previous.citations)
      evidence.set(contract_id, { contract: contract_id, seq, text: said.get(contract_id) ?? '', carried: true });
  }
  for (const contract of contracts) {
    const before = evidence.get(contract.id)?.text ?? '';
    const known = { contract: contract.id, seq: contract.seq, text: `${before}${render(contract)}`, carried: false };
    evidence.set(contract.id, known);
    if (contract.response !== null) evidence.set(contract.response, known);
  }
  return evidence;
}

export function check(said: Statements, evidence: ReadonlyMap<string, Evidence>): Checked {
  const removed: MemoryContent['removed'] = [];
  const known = new Figures(evidence);
  const kept = sectionwise((section) =>
    said[section].flatMap((statement): Statement[] => {
      const text = statement.text.trim();
      const reason = flawOf(text, statement.contracts, known);
      if (reason === null) return [{ text, contracts: [...new Set(statement.contracts.map((id) => evidence.get(id)!.contract))] }];
      removed.push({ section, text: cut(text, 500), contracts: statement.contracts.slice(0, 20).map((id) => cut(id, 64)), reason });
      return [];
    }),
  );
  return { kept, removed };
}

function flawOf(text: string, cited: readonly string[], known: Figures): string | null {
  if (text === '') return 'says nothing';
  if (cited.length === 0) return 'cites no contract';
  const unknown = cited.find((id) => !known.evidence.has(id));
  if (unknown !== undefined) return `cites ${cut(unknown, 64)}, which is no contract of the source`;
  const invented = figures(ungrouped(text)).find((figure) => !cited.some((id) => known.of(id).has(figure)));
  return invented === undefined ? null : `the figure ${cut(invented, 64)} stands in none of the contracts it cites`;
}

/** Of each contract, found when it is first cited. */
class Figures {
  private readonly found = new Map<string, ReadonlySet<string>>();

  constructor(readonly evidence: ReadonlyMap<string, Evidence>) {}

  of(id: string): ReadonlySet<string> {
    const { contract, text } = this.evidence.get(id)!;
    const found = this.found.get(contract) ?? new Set([...figures(text), ...figures(ungrouped(text))]);
    this.found.set(contract, found);
    return found;
  }
}

/** Ids, as ULIDs and UUIDs are: each is one figure, and the digits in it are none. */
const ID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9A-Za-z]*[A-Za-z])[0-9A-Za-z]{16,}';
const FIGURE = new RegExp(`${ID}|\\p{Nd}+(?:\\.\\p{Nd}+)*`, 'gu');

/** Numbers in one notation: 3.50 is 3.5, 007 is 7. What has several points, as a version has, and the digits of other scripts stay as they are. */
const figures = (text: string): string[] =>
  (text.match(FIGURE) ?? [])
    .filter((figure) => /\p{Nd}/u.test(figure))
    .map((figure) => (/^\d{1,15}(?:\.\d{1,15})?$/.test(figure) ? String(Number(figure)) : figure));

/** 1,234 as 1234. */
const ungrouped = (text: string): string => text.replace(/(\d),(?=\d{3}(?!\d))/g, '$1');

export type Account = Pick<MemoryContent, 'citations' | 'coverage' | 'not_covered' | 'forgotten'>;

/** What the kept statements cover, and what they leave out. */
export function account(
  kept: Statements,
  contracts: readonly SourceContract[],
  evidence: ReadonlyMap<string, Evidence>,
  previous: Pick<MemoryContent, 'citations'> | null,
): Account {
  const cited = new Set(allStatements(kept).flatMap((statement) => statement.contracts));
  const citations = [...cited]
    .map((id) => evidence.get(id)!)
    .map(({ contract, seq, carried }) => ({ contract_id: contract, seq, carried }))
    .sort((a, b) => (a.contract_id < b.contract_id ? -1 : 1));
  const not_covered = contracts.filter(({ id }) => !cited.has(id)).map(({ id }) => id);
  const coverage = contracts.length === 0 ? 1 : (contracts.length - not_covered.length) / contracts.length;
  const forgotten = (previous?.citations ?? []).map((c) => c.contract_id).filter((id) => !cited.has(id));
  return { citations, coverage, not_covered, forgotten };
}
