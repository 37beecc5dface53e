/** Recorded histories against this version. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { HistoryCheck, type HistoryReport } from '../audit/replay-history.js';
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import type { Colours, Terminal } from '../kernel/terminal.system.js';
import { coloursFor, EXIT, number } from './replay-told.cli.js';

const SHOWN_FINDINGS = 10;

/** The exit code is that of the worst file. */
export async function checkHistories(files: readonly string[], json: boolean, terminal: Terminal): Promise<number> {
  const reports: [string, HistoryReport][] = [];
  for (const file of files) reports.push([file, await checked(file)]);
  const codes = reports.map(([, report]) => codeOf(report));
  const code = WORST_FIRST.find((one) => codes.includes(one)) ?? EXIT.same;
  if (json) {
    const told = reports.map(([file, report]) => ({ file, ...report }));
    terminal.stdout.write(`${printableJson({ files: told, exit_code: code })}\n`);
  } else for (const [file, report] of reports) terminal.stdout.write(render(file, report, coloursFor(terminal)));
  return code;
}

const WORST_FIRST = [EXIT.invalid, EXIT.different, EXIT.incomplete];

async function checked(file: string): Promise<HistoryReport> {
  const check = new HistoryCheck();
  let line = 0;
  try {
    for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY }))
      check.line(++line, text);
  } catch (error) {
    throw new OrchestratorError('invalid_request', `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return check.report();
}

function codeOf({ findings, compared, unexplained }: HistoryReport): number {
  if (findings.some(({ what }) => what === 'invalid')) return EXIT.invalid;
  if (findings.length > 0) return EXIT.different;
  return compared && unexplained === 0 ? EXIT.same : EXIT.incomplete;
}

function render(file: string, report: HistoryReport, { green, red, yellow }: Colours): string {
  const { events, streams, disclosures, gone, unexplained, unchecked, compared, findings } = report;
  const verdict = {
    [EXIT.same]: green('THE SAME'),
    [EXIT.invalid]: red('INVALID'),
    [EXIT.different]: red('DIFFERENT'),
    [EXIT.incomplete]: yellow('INCOMPLETE'),
  }[codeOf(report)];
  const notes = [
    ...(gone > 0 ? [`${number(gone)} disclosures were gone when it was written, and are not checked`] : []),
    ...(unexplained > 0 ? [`those of ${number(unexplained)} events for no recorded reason`] : []),
    ...(unchecked > 0 ? [`${number(unchecked)} events after an invalid one are not checked`] : []),
    ...(compared ? [] : ['what it means is not checked: the file does not say it, or what it says cannot be relied on']),
  ];
  const more = findings.length - SHOWN_FINDINGS;
  return [
    `${verdict}  ${printable(file)}: ${number(events)} events in ${number(streams)} streams, ${number(disclosures)} disclosures`,
    ...notes.map((note) => `  ${note}`),
    ...findings.slice(0, SHOWN_FINDINGS).map(({ line, what, why }) => `  line ${line} (${what}): ${printable(why)}`),
    ...(more > 0 ? [`  and ${number(more)} more (--json tells all of them)`] : []),
    '',
  ].join('\n');
}
