/** Agents as lines. */
import { printable, printableJson } from '../kernel/printable.js';
import type { Colours } from '../kernel/terminal.system.js';
import type { ListedAgent } from './orchestrator.schema.js';

const MOST_CHARACTERS = 80;

export class AgentsTable {
  constructor(private readonly colours: Colours) {}

  /** With the heading before the first. */
  lines(agents: readonly ListedAgent[]): string[] {
    if (agents.length === 0) return [];
    const rows = [['agent', 'status', 'protocol', 'version', 'done', 'failed', 'capabilities'], ...agents.map(cells)];
    const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
    return rows.map((row, n) => {
      const padded = row.map((text, i) => (i === row.length - 1 ? text : text.padEnd(widths[i]!)));
      if (n === 0) return this.colours.dim(padded.join('  '));
      padded[1] = colourOf(row[1]!, this.colours)(padded[1]!);
      return padded.join('  ');
    });
  }
}

function cells(agent: ListedAgent): string[] {
  const { agent_id, status, protocol, version, tasks_completed, tasks_failed, capabilities } = agent;
  const offers = capabilities.map(({ name }) => name).join(', ');
  const short = offers.length > MOST_CHARACTERS ? `${offers.slice(0, MOST_CHARACTERS - 1)}…` : offers;
  return [agent_id, status, protocol, version, String(tasks_completed), String(tasks_failed), short].map(printable);
}

/** One agent, member by member. */
export function agentLines(agent: object, colours: Colours): string[] {
  return Object.entries(agent)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => {
      const shown = typeof value === 'string' ? printable(value) : printableJson(value, 2);
      return `${colours.dim(printable(name))} ${name === 'status' ? colourOf(shown, colours)(shown) : shown}`;
    });
}

function colourOf(status: string, { green, red, yellow, cyan }: Colours): (text: string) => string {
  return { available: green, busy: cyan, offline: red, error: red, stopped: yellow }[status] ?? String;
}
