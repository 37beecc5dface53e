/** `agent-orchestrator log`: how the log of the record is, and keys to sign it with. */
import { join } from 'node:path';
import { Command } from 'commander';
import { readConfig } from '../config.js';
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import { coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { type ConnectOptions, connect, connecting, WHERE_IT_LOOKS } from './connect.cli.js';
import { LogStatus } from './orchestrator.schema.js';

interface StatusOptions extends ConnectOptions {
  readonly json?: boolean;
}

interface KeygenOptions {
  readonly origin: string;
  readonly file?: string;
  readonly add?: boolean;
  readonly json?: boolean;
}

export function logCommand(terminal: Terminal): Command {
  const log = new Command('log').description('how the signed log of the record is, and keys to sign it with');
  for (const command of [status, keygen]) {
    const made = command(terminal).option('--json', 'print one JSON document');
    log.addCommand(made.copyInheritedSettings(log), { isDefault: made.name() === 'status' });
  }
  return log.addHelpText('after', HELP);
}

const HELP = `${WHERE_IT_LOOKS}
Examples:
  agent-orchestrator log
  agent-orchestrator log --json | jq -r '.keys[].vkey'
  agent-orchestrator log keygen --origin example.com/agents

Exit codes: 0 done · 1 usage, not reachable, or refused`;

const status = (terminal: Terminal) =>
  connecting(new Command('status'))
    .description('name, size, keys and anchors; what stands against signing')
    .action(async (options: StatusOptions) => {
      const answer = await (await connect(options, terminal)).ask('v1/log', LogStatus, { method: 'GET' });
      terminal.stdout.write(`${options.json ? printableJson(answer) : render(answer, terminal)}\n`);
    })
    .addHelpText('after', `${WHERE_IT_LOOKS}\nExit codes: 0 shown · 1 usage, not reachable, or refused`);

const keygen = (terminal: Terminal) =>
  new Command('keygen')
    .description('make a key that signs checkpoints')
    .requiredOption('--origin <name>', 'name of the log, a URL without https:// such as example.com/agents')
    .option('--file <file>', 'where to put it (default: LOG_KEY_FILE, else log.key in DATA_DIR)')
    .option('--add', 'put it in front of the keys the file has: all of them sign from the next start on')
    .addHelpText('after', KEYGEN_HELP)
    .action((options: KeygenOptions) => makeKey(options, terminal));

const KEYGEN_HELP = `
The file is readable by its owner alone; it is the secret. What is printed is the verifier key: give it to whoever checks the log, by another way
than the log itself. Both forms are those of Go's sumdb/note.

To change the key: make another with the same --origin and --add, start again, give out the new verifier key, and remove the last line of the file
when everybody has it. Checkpoints signed before stay verifiable with the old one.

Examples:
  agent-orchestrator log keygen --origin example.com/agents
  agent-orchestrator log keygen --origin example.com/agents --file /etc/agent-orchestrator/log.key --add

Exit codes: 0 made · 1 usage, or it could not be written; a file that is there is never written over`;

async function makeKey({ origin, file: named, add, json }: KeygenOptions, terminal: Terminal): Promise<void> {
  const { addLogKey, createLogKeys, newSignerKey } = await import('../ledger/log-keys.system.js');
  const { formatVerifierKey, verifierOf } = await import('../ledger/note.js');
  const { LOG_KEY_FILE, DATA_DIR } = readConfig({ ...terminal.env });
  const file = named ?? LOG_KEY_FILE ?? join(DATA_DIR, 'log.key');
  const key = newSignerKey(origin);
  if (!(await createLogKeys(file, [key]))) {
    if (!add) throw new OrchestratorError('bad_configuration', `${file} has keys already; --add puts another one in front of them`);
    await addLogKey(file, key);
  }
  const vkey = formatVerifierKey(verifierOf(key));
  if (!json) terminal.stderr.write(`the key is in ${file}; this is its verifier key:\n`);
  terminal.stdout.write(`${json ? JSON.stringify({ origin, file, vkey }) : vkey}\n`);
}

function render({ origin, size, root, signed_at, refused, logs, keys, anchors }: LogStatus, terminal: Terminal): string {
  const { red, yellow, green } = coloursOf(terminal.stdout, terminal.env);
  const lines = [
    origin === null ? yellow('nothing is signed yet') : `${green(printable(origin))}: ${size} events, signed ${signed_at}`,
    ...(root === null ? [] : [`root ${root}`]),
    ...(refused === null ? [] : [red(`no checkpoint is signed: ${printable(refused)}`)]),
    ...(logs.length > 1 ? logs.map((log) => `log ${printable(log.origin)} from place ${log.first_idx} on`) : []),
    ...keys.map(({ vkey, first_size }) => `key ${printable(vkey)} since size ${first_size}`),
    ...anchors.map(
      ({ name, size: has, error }) => `anchor ${printable(name)}: ${error === null ? `has ${has ?? 0}` : red(printable(error))}`,
    ),
  ];
  return lines.join('\n');
}
