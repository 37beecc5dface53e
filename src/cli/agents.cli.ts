/** `agent-orchestrator agents`: who there is, and how they are; adding, stopping, starting and removing them. */
import { Command } from 'commander';
import { printable, printableJson } from '../kernel/printable.js';
import { coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { AgentsTable, agentLines } from './agents-table.cli.js';
import { type ConnectOptions, connect, connecting, WHERE_IT_LOOKS } from './connect.cli.js';

interface Options extends ConnectOptions {
  readonly json?: boolean;
  readonly at?: string;
}

const EXIT_CODES = 'Exit codes: 0 done · 1 usage, not reachable, or refused';

const HELP = `${WHERE_IT_LOOKS}
Examples:
  agent-orchestrator agents
  agent-orchestrator agents add http://127.0.0.1:8000
  agent-orchestrator agents show greeter --at 2026-11-20T10:00:00Z
  agent-orchestrator agents stop greeter
  agent-orchestrator agents list --json | jq -r '.agents[] | select(.status == "offline") | .agent_id'

${EXIT_CODES}`;

export function agentsCommand(terminal: Terminal): Command {
  const agents = new Command('agents').description('list agents, add them by address, see how they are, stop, start and remove them');
  for (const command of [list, add, show, refresh, turn('stop'), turn('start'), remove]) {
    const made = connecting(command(terminal)).option('--json', 'print what the API answers').addHelpText('after', `\n${EXIT_CODES}`);
    agents.addCommand(made.copyInheritedSettings(agents), { isDefault: made.name() === 'list' });
  }
  return agents.addHelpText('after', HELP);
}

const list = (terminal: Terminal) =>
  new Command('list').description('who there is, and how they are').action(async (options: Options) => {
    const page = await (await agentsOf(options, terminal)).list();
    if (options.json) return print(terminal, page);
    const table = new AgentsTable(coloursOf(terminal.stdout, terminal.env));
    for (const line of table.lines(page.agents)) say(terminal, line);
    if (page.agents.length === 0) terminal.stderr.write('there are no agents; add one with: agent-orchestrator agents add <url>\n');
  });

const add = (terminal: Terminal) =>
  new Command('add')
    .description('find out who lives at an address, and register everybody there')
    .argument('<address>', 'such as http://127.0.0.1:8000, or of a list of agents')
    .action(async (address: string, options: Options) => {
      const answer = await (await agentsOf(options, terminal)).register({ url: address });
      if (options.json) return print(terminal, answer);
      for (const { agent_id, protocol, capabilities } of answer.agents) {
        const how = answer.changed.includes(agent_id) ? 'registered' : 'was registered already';
        const offers = capabilities.map((capability) => capability.name).join(', ');
        say(terminal, printable(`${agent_id} (${protocol}) ${how}: ${offers}`));
      }
      for (const error of answer.errors) terminal.stderr.write(`${printable(error)}\n`);
    });

const show = (terminal: Terminal) =>
  new Command('show')
    .description('what an agent is and can do, or was')
    .argument('<id>', 'its agent_id')
    .option('--at <when>', 'as it was after the event at this place in the log, or at this time (ISO 8601)')
    .action(async (id: string, options: Options) => {
      const agent = await (await agentsOf(options, terminal)).show(id, options.at);
      if (options.json) return print(terminal, agent);
      for (const line of agentLines(agent, coloursOf(terminal.stdout, terminal.env))) say(terminal, line);
    });

const refresh = (terminal: Terminal) =>
  new Command('refresh')
    .description('look at all addresses agents were discovered at, or at one of them, now')
    .argument('[address]', 'only this one')
    .action(async (address: string | undefined, options: Options) => {
      const answer = await (await agentsOf(options, terminal)).refresh(address);
      if (options.json) return print(terminal, answer);
      for (const { url, agents, errors } of answer.looked) {
        say(terminal, printable(`${url}: ${agents.join(', ') || 'nobody'}`));
        for (const error of errors) say(terminal, `    ${printable(error)}`);
      }
      if (answer.looked.length === 0) terminal.stderr.write('no agent was discovered at an address\n');
    });

const turn = (what: 'start' | 'stop') => (terminal: Terminal) =>
  new Command(what)
    .description(what === 'stop' ? 'let an agent finish what it does, and give it nothing new' : 'give an agent work again')
    .argument('<id>', 'its agent_id')
    .action(async (id: string, options: Options) => {
      const agent = await (await agentsOf(options, terminal)).turn(id, what);
      if (options.json) return print(terminal, agent);
      const busy = agent.in_flight > 0 ? `, ${agent.in_flight} under way` : '';
      say(terminal, printable(`${agent.agent_id} is ${agent.status}${busy}`));
    });

const remove = (terminal: Terminal) =>
  new Command('remove')
    .description('retire an agent; what it did stays on the record')
    .argument('<id>', 'its agent_id')
    .action(async (id: string, options: Options) => {
      const answer = await (await agentsOf(options, terminal)).retire(id);
      if (options.json) return print(terminal, answer);
      say(terminal, printable(`${answer.agent_id} has retired`));
    });

const say = ({ stdout }: Terminal, line: string): void => void stdout.write(`${line}\n`);
const print = (terminal: Terminal, answer: object): void => say(terminal, printableJson(answer, 2));

async function agentsOf(options: ConnectOptions, terminal: Terminal) {
  const { AgentsClient } = await import('./agents.client.js');
  return new AgentsClient(await connect(options, terminal));
}
