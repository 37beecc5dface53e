/** `agent-orchestrator contracts`: what was asked of whom in a session, and how it ended; with --follow as it happens. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import { coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { type ConnectOptions, connect, connecting, WHERE_IT_LOOKS } from './connect.cli.js';
import { ContractsTable } from './contracts-table.cli.js';
import { treesOf } from './contracts-tree.cli.js';
import { wholeNumber } from './option-values.cli.js';
import type { ContractHalf } from './orchestrator.schema.js';
import type { SessionTail } from './session-tail.client.js';

const NO_SESSION = 5;
const PAUSE_MS = 500;
/** While the server does not answer. */
const LONGEST_PAUSE_MS = 5000;
/** Passing by themselves: the server restarts, or has too much to do. */
const PASSING = ['ledger_unavailable', 'issuer_unavailable', 'overloaded', 'shutting_down'];

interface Options extends ConnectOptions {
  readonly follow?: boolean;
  readonly limit?: number;
  readonly full?: boolean;
  readonly tree?: boolean;
  readonly json?: boolean;
}

export function contractsCommand(terminal: Terminal): Command {
  return connecting(new Command('contracts'))
    .description('show what was asked of whom in a session, and how it ended')
    .argument('<session>', 'your name for the session, as given to orchestrate')
    .option('-f, --follow', 'show every request and response as it is recorded, until Ctrl-C')
    .option(
      '-n, --limit <count>',
      'only the newest; with --follow, as many of those that are there already; with --tree, so many tasks',
      wholeNumber,
    )
    .addOption(new Option('--tree', 'draw each task with its steps and attempts').conflicts(['follow', 'full', 'json']))
    .option('--full', 'show parameters and results too')
    .option('--json', 'print one JSON document, or with --follow one JSON object a line')
    .addHelpText('after', HELP)
    .action(async (session: string, options: Options) => {
      const told = new Told(terminal, session, options);
      const show = options.follow ? follow : options.tree ? trees : list;
      process.exitCode = await show(session, options, terminal, told);
    });
}

const HELP = `${WHERE_IT_LOOKS}
--follow shows both halves of each contract in the order of the session (seq). A server that goes away is waited for, and reading goes on
where it stopped. A session that is not there yet is waited for too.

Examples:
  agent-orchestrator contracts first
  agent-orchestrator contracts first --limit 5 --full
  agent-orchestrator contracts first --json | jq '.contracts[] | select(.status == "failed")'
  agent-orchestrator contracts first --follow --limit 0
  agent-orchestrator contracts first --tree --limit 1

Exit codes: 0 shown, or following was ended by Ctrl-C · 5 there is no such session · 1 usage, not reachable, or refused`;

/** Writes as it comes: a long session need not fit into memory. */
class Told {
  private readonly table: ContractsTable;
  private some = false;

  constructor(
    private readonly terminal: Terminal,
    private readonly session: string,
    private readonly options: Options,
  ) {
    const { full = false, follow = false } = options;
    this.table = new ContractsTable({ colours: coloursOf(terminal.stdout, terminal.env), full, halves: follow });
  }

  show(contracts: readonly ContractHalf[]): void {
    for (const text of this.options.json ? contracts.map((contract) => this.asJson(contract)) : this.table.lines(contracts)) {
      this.terminal.stdout.write(text + (this.options.json && !this.options.follow ? '' : '\n'));
    }
  }

  end(): void {
    if (this.options.json) this.terminal.stdout.write(this.some ? '\n]}\n' : `${this.opening()}]}\n`);
  }

  private asJson(contract: ContractHalf): string {
    if (this.options.follow) return printableJson(contract);
    const before = this.some ? ',' : this.opening();
    this.some = true;
    return `${before}\n${printableJson(contract)}`;
  }

  private opening(): string {
    return `{"session_id":${printableJson(this.session)},"contracts":[`;
  }
}

async function list(session: string, options: Options, terminal: Terminal, told: Told): Promise<number> {
  const tail = await tailOf(session, options, terminal, 'REQUEST');
  await showStanding(tail, options.limit, told);
  if (!tail.begun) return noSession(session, terminal);
  told.end();
  return 0;
}

async function trees(session: string, options: Options, terminal: Terminal): Promise<number> {
  const tail = await tailOf(session, options, terminal);
  const halves: ContractHalf[] = [];
  for (let more = true; more; ) {
    const page = await tail.next();
    more = page.more;
    halves.push(...page.fresh);
  }
  if (!tail.begun) return noSession(session, terminal);
  const drawn = treesOf(halves, coloursOf(terminal.stdout, terminal.env));
  for (const lines of lastOf(drawn, options.limit ?? drawn.length)) terminal.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

function noSession(session: string, terminal: Terminal): number {
  say(terminal, `there is no session ${JSON.stringify(session)}; a session begins with its first task`);
  return NO_SESSION;
}

/** Ends with a signal, or with an error that does not pass by itself. */
async function follow(session: string, options: Options, terminal: Terminal, told: Told): Promise<number> {
  const ended = new AbortController();
  const { signal } = ended;
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => ended.abort());
  const tail = await tailOf(session, options, terminal);
  try {
    await showStanding(tail, options.limit, told, signal);
    if (!tail.begun) say(terminal, `there is no session ${JSON.stringify(session)} yet; waiting for its first contract`);
    for (let failures = 0; ; ) {
      await sleep(Math.min(PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS), undefined, { signal });
      try {
        if (failures > 0) await lookAgain(tail, options, terminal);
        for (let more = true; more; ) {
          const page = await tail.next(signal);
          if (failures > 0) say(terminal, 'the server answers again');
          failures = 0;
          more = page.more;
          told.show(page.fresh);
        }
      } catch (error) {
        if (signal.aborted || !(error instanceof OrchestratorError) || !PASSING.includes(error.code)) throw error;
        if (failures++ === 0) say(terminal, `waiting for the server: ${error.message}`);
      }
    }
  } catch (error) {
    if (signal.aborted) return 0;
    throw error;
  }
}

/** An embedded server may have another port when it was started again. Where nobody names one, it is expected where it was. */
async function lookAgain(tail: SessionTail, options: Options, terminal: Terminal): Promise<void> {
  const client = await connect(options, terminal);
  if (client.named) tail.moveTo(client);
}

/** What is there already: all of it, or only the newest. */
async function showStanding(tail: SessionTail, limit: number | undefined, told: Told, signal?: AbortSignal): Promise<void> {
  let newest: ContractHalf[] = [];
  for (let more = true; more; ) {
    const page = await tail.next(signal);
    more = page.more;
    if (limit === undefined) told.show(page.fresh);
    else newest = lastOf([...newest, ...page.fresh], limit);
  }
  told.show(newest);
}

const lastOf = <T>(items: readonly T[], count: number): T[] => (count === 0 ? [] : items.slice(-count));

const say = ({ stderr }: Terminal, text: string) => void stderr.write(`agent-orchestrator contracts: ${printable(text)}\n`);

async function tailOf(session: string, options: Options, terminal: Terminal, type?: 'REQUEST'): Promise<SessionTail> {
  const { SessionTail } = await import('./session-tail.client.js');
  return new SessionTail(await connect(options, terminal), session, type);
}
