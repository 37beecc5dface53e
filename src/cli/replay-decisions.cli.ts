/** `replay decisions`: the command. What it does stands in redecide.client.ts. */
import { Command } from 'commander';
import type { Terminal } from '../kernel/terminal.system.js';
import { wholeNumber } from './option-values.cli.js';
import { unlessNone, WHERE_IT_READS } from './replay-asked.cli.js';
import { EXIT_CODES } from './replay-told.cli.js';

export interface DecisionsOptions {
  readonly session?: string;
  readonly since?: string;
  readonly tenant: string;
  readonly routing?: string;
  readonly agents?: string;
  readonly agentsOfThen?: boolean;
  readonly model?: string;
  readonly max: number;
  readonly verify: boolean;
  readonly json?: boolean;
}

export function decisionsCommand(terminal: Terminal): Command {
  return new Command('decisions')
    .description('choose again for recorded requests, with the agents, rules or model of today or with others; no agent is called')
    .option('-s, --session <id>', 'only this session')
    .option('--since <time>', 'only what the ledger took in since then (ISO 8601 with zone)')
    .option('--tenant <id>', 'whose requests', 'default')
    .option('--routing <file>', 'rules, instead of those of ROUTING_FILE')
    .option('--agents <file>', 'agents, instead of those of today: what GET /v1/agents answers, changed at will')
    .option('--agents-of-then', 'the agents as they were at each request: then only rules, settings and the program differ')
    .option('--model <name>', 'ask this language model instead of taking what one said then')
    .option('--max <questions>', 'no more questions to the model than this', wholeNumber, 100)
    .option('--no-verify', 'do not verify the ledger first')
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(async (options: DecisionsOptions) => {
      const { replayDecisions } = await import('./redecide.client.js');
      process.exitCode = await unlessNone(replayDecisions(options, terminal), terminal);
    });
}

const HELP = `${WHERE_IT_READS}
Decided again with the settings of this environment (ROUTING_STRATEGY, ROUTING_CONFIDENCE, ROUTING_CANDIDATES), and shown where somebody
else would be chosen, or the same agent for something else. Whose turn it was, who was full and whose breaker was open is taken from the
record: that is no choice. What a model said then is taken from the record too, unless --model asks one (ANTHROPIC_API_KEY).

Examples:
  agent-orchestrator replay decisions --since 2026-11-20T00:00:00Z
  agent-orchestrator replay decisions --routing new-rules.json
  curl -s localhost:8888/v1/agents > agents.json && agent-orchestrator replay decisions --agents agents.json
  agent-orchestrator replay decisions --model claude-haiku-4-5 --max 50 --json | jq '.confusion[] | select(.was != .is)'

${EXIT_CODES} ·
5 no such session`;
