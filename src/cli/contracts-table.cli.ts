/** Contracts as lines of a table: one for each contract, or, while they are followed, one for each half. */
import { printable, printableJson } from '../kernel/printable.js';
import type { Colours } from '../kernel/terminal.system.js';
import type { ContractHalf } from './orchestrator.schema.js';

export interface TableStyle {
  readonly colours: Colours;
  /** Parameters and results below each line. */
  readonly full: boolean;
  /** Each half has its own line, led by its place in the session. */
  readonly halves: boolean;
}

interface Cell {
  readonly text: string;
  readonly colour?: ((text: string) => string) | undefined;
}

const TIME_WIDTH = 24;
const ID_WIDTH = 26;
const ERROR_LENGTH = 100;
const MAX_OPEN = 10_000;

export class ContractsTable {
  /** Columns grow with what they hold; lines that stand already stay as they are. */
  private readonly widths: number[];
  private headed = false;
  /** When, of REQUESTs whose RESPONSE has not come by. */
  private readonly asked = new Map<string, string>();

  constructor(private readonly style: TableStyle) {
    this.widths = style.halves ? [4, TIME_WIDTH, ID_WIDTH] : [TIME_WIDTH, ID_WIDTH];
  }

  /** The lines for these, with the heading before the first. */
  lines(contracts: readonly ContractHalf[]): string[] {
    if (contracts.length === 0) return [];
    const rows = contracts.map((contract) => this.cells(contract));
    const names = [...(this.style.halves ? ['seq'] : []), 'time', 'contract', 'agent', 'capability', 'status', 'duration', 'error'];
    const heading = names.map((text): Cell => ({ text, colour: this.style.colours.dim }));
    for (const row of [heading, ...rows]) {
      for (const [i, { text }] of row.entries()) this.widths[i] = Math.max(this.widths[i] ?? 0, text.length);
    }
    const told = contracts.flatMap((contract, i) => [this.line(rows[i]!), ...(this.style.full ? this.details(contract) : [])]);
    const first = this.headed ? [] : [this.line(heading)];
    this.headed = true;
    return [...first, ...told];
  }

  private line(row: readonly Cell[]): string {
    const padded = row.map(({ text, colour }, i) => {
      const cell = i === row.length - 1 ? text : text.padEnd(this.widths[i]!);
      return colour && text ? colour(cell) : cell;
    });
    return padded.join('  ').trimEnd();
  }

  private cells(contract: ContractHalf): Cell[] {
    const { contract_type, contract_id, in_reply_to, from_agent, to_agent, capability, metadata } = contract;
    const { colours, halves } = this.style;
    const response = contract_type === 'RESPONSE';
    const agent = response ? from_agent : to_agent;
    const asked = metadata['asked'] as { capability?: unknown } | undefined;
    const open = halves && !response;
    const status = open ? 'asked' : (contract.status ?? '');
    const colour = { completed: colours.green, failed: colours.red, cancelled: colours.yellow, pending: colours.cyan }[status];
    const error = open ? '' : [contract.error_code, contract.error].filter(Boolean).join(': ');
    return [
      ...(halves ? [{ text: String(contract.seq) }] : []),
      { text: printable(contract.created_at), colour: colours.dim },
      { text: printable(response ? (in_reply_to ?? '') : contract_id) },
      { text: printable(agent === null || agent === 'orchestrator' ? '-' : agent) },
      // What nobody offers stands only in the caller's words.
      { text: printable(capability ?? (typeof asked?.capability === 'string' ? asked.capability : '-')) },
      { text: printable(status), colour },
      { text: this.duration(contract) },
      { text: printable(shortened(error, this.style.full)), colour: colours.red },
    ];
  }

  private duration({ contract_type, contract_id, created_at, completed_at, in_reply_to }: ContractHalf): string {
    if (!this.style.halves) return between(created_at, completed_at);
    if (contract_type === 'RESPONSE') {
      const since = this.asked.get(in_reply_to ?? '');
      this.asked.delete(in_reply_to ?? '');
      return between(since, created_at);
    }
    this.asked.set(contract_id, created_at);
    if (this.asked.size > MAX_OPEN) this.asked.delete(this.asked.keys().next().value!);
    return '';
  }

  private details({ contract_type, parameters, result, metadata }: ContractHalf): string[] {
    const { dim } = this.style.colours;
    const parts = {
      ...(contract_type === 'REQUEST' && { parameters, ...metadata }),
      ...(contract_type === 'RESPONSE' || !this.style.halves ? { result } : {}),
    };
    return Object.entries(parts)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `    ${dim(printable(name))} ${printableJson(value, 2).replaceAll('\n', '\n    ')}`);
  }
}

function shortened(text: string, full: boolean): string {
  return full || text.length <= ERROR_LENGTH ? text : `${[...text].slice(0, ERROR_LENGTH - 1).join('')}…`;
}

export function between(since: string | undefined, until: string | null): string {
  if (since === undefined || until === null) return '';
  const milliseconds = Date.parse(until) - Date.parse(since);
  return milliseconds < 10_000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
