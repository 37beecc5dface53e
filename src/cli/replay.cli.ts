/** `agent-orchestrator replay`: the ledger read again, and what it says held against what is there now. */
import { Command } from 'commander';
import type { Terminal } from '../kernel/terminal.system.js';
import { decisionsCommand } from './replay-decisions.cli.js';
import { checkCommand, recordCommand } from './replay-history.cli.js';
import { liveCommand } from './replay-live.cli.js';
import { sessionCommand } from './replay-session.cli.js';
import { EXIT_CODES } from './replay-told.cli.js';
import { viewsCommand } from './replay-views.cli.js';

export function replayCommand(terminal: Terminal): Command {
  return new Command('replay')
    .description('read the ledger again: rebuild its views, show a session as it was, try its tasks on the agents of today')
    .addHelpText('after', HELP)
    .addCommand(viewsCommand(terminal))
    .addCommand(sessionCommand(terminal))
    .addCommand(decisionsCommand(terminal))
    .addCommand(liveCommand(terminal))
    .addCommand(recordCommand(terminal))
    .addCommand(checkCommand(terminal));
}

const HELP = `
What is replayed is verified first, and the place in the ledger it was replayed from is printed.

Examples:
  agent-orchestrator replay views                      # are the views what the ledger makes of them?
  agent-orchestrator replay session first --at 4       # the session after its fourth event
  agent-orchestrator replay decisions --routing new.json   # who would be chosen by other rules?
  agent-orchestrator replay live first                 # what would be sent to the agents of today?
  agent-orchestrator replay live first --execute       # sent, and compared with what they answered then
  agent-orchestrator replay record first > first.jsonl && agent-orchestrator replay check first.jsonl

${EXIT_CODES} ·
5 no such session`;
