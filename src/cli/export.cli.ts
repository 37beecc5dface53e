/** `agent-orchestrator export`: a session, a contract or a part of the log, as a bundle that proves itself or in the formats of others. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { VERSION } from '../api/version.js';
import type { Evidence, ExportRequest } from '../audit/export/evidence.js';
import { type Config, readConfig } from '../config.js';
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import type { Terminal } from '../kernel/terminal.system.js';
import type { Database } from '../ledger/database.postgres.js';
import { serverNamed } from './ledger.cli.js';
import { repeated } from './option-values.cli.js';
import type { OrchestratorClient } from './orchestrator.client.js';
import { readLedger, type Said } from './read-ledger.system.js';

const FORMATS = ['bundle', 'prov-json', 'cloudevents', 'in-toto', 'otlp'] as const;

interface Options {
  readonly format: (typeof FORMATS)[number];
  readonly output?: string;
  readonly only?: string[];
  readonly proofs: 'needed' | 'all';
  readonly known: string[];
  readonly signingKey?: string;
  readonly tenant: string;
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
}

export function exportCommand(terminal: Terminal): Command {
  const command = new Command('export')
    .description('hand a part of the record to somebody who checks it without trusting you')
    .addHelpText('after', HELP);
  const sub = (usage: string, description: string, whatOf: (args: string[]) => ExportRequest['what']) =>
    command.addCommand(
      exporting(new Command(usage.split(' ')[0]!))
        .arguments(usage.split(' ').slice(1).join(' '))
        .description(description)
        .addHelpText('after', HELP)
        .action(async (...args: unknown[]) => run(terminal, whatOf(args as string[]), args.at(-2) as Options)),
    );
  sub('session <id>', 'everything of a session, by your name for it, or by its stream where the name was erased', ([session]) => ({
    session: session!,
  }));
  sub('contract <id>', 'one REQUEST and its RESPONSE, by the id of either', ([contract]) => ({ contract: contract! }));
  sub('range <from> <to>', 'all events from one place in the global order to another; 0 is the first', ([from, to]) => ({
    from: place(from!),
    to: place(to!),
  }));
  return command;
}

function exporting(command: Command): Command {
  return command
    .addOption(new Option('-f, --format <format>', 'what it is written as').choices(FORMATS).default('bundle'))
    .option('-o, --output <path>', 'where to: a directory or a file .tar.gz for a bundle, a file for the others (default: stdout)')
    .option('--only <fields>', 'disclose these alone, such as parameters,result; the rest still verifies', names)
    .addOption(
      new Option('--proofs <which>', 'a proof for every record, or for those that the others lead to')
        .choices(['needed', 'all'])
        .default('needed'),
    )
    .option('--known <file>', 'a checkpoint somebody kept: prove that the log grew out of it; may be repeated', repeated, [])
    .option('--signing-key <file>', 'your Ed25519 private key (PEM), for --format in-toto')
    .option('--tenant <id>', 'whose records', 'default')
    .option('--url <url>', 'ask this orchestrator instead of reading the database')
    .option('--token <token>', 'bearer token for it; better in ORCHESTRATOR_TOKEN')
    .option('--json', 'tell what was written as one JSON document');
}

const HELP = `
Reads the database itself (DATABASE_URL, else the embedded one in DATA_DIR) and changes nothing. The server is asked instead at --url, at
ORCHESTRATOR_URL unless DATABASE_URL is set, and while it holds the embedded directory.

Formats:
  bundle       a directory (or .tar.gz) with records, disclosures, proofs, checkpoint, prov.json and a verifier: node verify.mjs
  prov-json    who did what with what, as W3C PROV-JSON
  cloudevents  a CloudEvents 1.0 batch
  in-toto      an in-toto Statement about the records, in a DSSE envelope signed with --signing-key
  otlp         spans, as OTLP JSON
Only the bundle proves anything by itself. That a record is in the log does not prove that no other was left out; a closed session does.

Examples:
  agent-orchestrator export session first -o first.tar.gz
  agent-orchestrator export session first -o evidence --only result --known checkpoint.october
  agent-orchestrator export contract 01M7Z0JAKBKK1K5SNPKR5JD0Y3 -o one
  agent-orchestrator export range 0 9999 -o january.tar.gz
  agent-orchestrator export session first --format otlp | curl -s -H 'content-type: application/json' -d @- localhost:4318/v1/traces

Exit codes: 0 written · 1 usage, there is no such thing, or it could not be written: nothing is left behind`;

function names(text: string): string[] {
  const found = text.split(',').map((name) => name.trim());
  if (found.every((name) => /^[a-z_]{1,64}$/.test(name))) return found;
  throw new InvalidArgumentError('It must be names separated by commas.');
}

function place(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new OrchestratorError(
    'invalid_request',
    `${JSON.stringify(text)} is no place in the global order: it must be a whole number, 0 or above`,
  );
}

async function run(terminal: Terminal, what: ExportRequest['what'], options: Options): Promise<void> {
  const { writeExport } = await import('./write-export.system.js');
  const { format, output, only = null, tenant, proofs } = options;
  const known = await Promise.all(options.known.map(sizeOf));
  const request: ExportRequest = { tenant, what, only, proveAll: proofs === 'all', known };
  const config = readConfig({ ...terminal.env });
  const evidence = evidenceFor(config, { url: options.url ?? serverNamed(config), token: options.token }, request);
  const told = await writeExport({ format, output, signingKey: options.signingKey }, evidence, terminal.stdout);
  if (told === null) return;
  const { records, disclosures, proofs: proven } = told;
  const summary = `${told.output}: ${records} records, ${disclosures} disclosures, ${proven} proofs`;
  terminal.stdout.write(`${options.json ? printableJson(told) : printable(summary)}\n`);
  if (proven === 0)
    terminal.stderr.write('agent-orchestrator export: no checkpoint covers these records yet, so the bundle only agrees with itself\n');
}

function evidenceFor(config: Config, said: Said, request: ExportRequest): AsyncGenerator<Evidence> {
  const ways = {
    tenant: request.tenant,
    async *fromDatabase(db: Database) {
      const { evidenceOf } = await import('../audit/export/evidence.postgres.js');
      yield* evidenceOf({ db, madeBy: `agent-orchestrator ${VERSION}` }, request);
    },
    async *fromServer(client: OrchestratorClient) {
      const { readEvidence } = await import('../audit/export/evidence-wire.js');
      yield* readEvidence(client.listen('v1/export', { body: bodyOf(request) }));
    },
  };
  return readLedger<Evidence>(config, ways, said);
}

function bodyOf({ what, only, proveAll, known }: ExportRequest): object {
  const named = 'session' in what ? { session_id: what.session } : 'contract' in what ? { contract_id: what.contract } : what;
  return { ...named, ...(only && { only }), prove_all: proveAll, known };
}

async function sizeOf(path: string): Promise<number> {
  const [{ readFile }, { readCheckpoint }] = await Promise.all([import('node:fs/promises'), import('../ledger/checkpoint.js')]);
  return Number(readCheckpoint(await readFile(path)).size);
}
