import { OrchestratorError } from './kernel/errors.js';
import { printable } from './kernel/printable.js';

/** Why a command could not be done, as it is told on stderr: a stack only for what is a bug of ours. */
export function explain(error: Error): string {
  if (!(error instanceof OrchestratorError)) return isOfSystem(error) ? printable(error.message) : (error.stack ?? error.message);
  const { message, fields = [], pointer } = error;
  // The message of a single field stands in the message of the whole.
  const named = fields.length > 1 ? fields.map(({ field, message }) => `  ${field || 'the body'}: ${message}`) : [];
  return [`${message}${pointer ? ` (at ${pointer})` : ''}`, ...named].map(printable).join('\n');
}

/** What the operating system refused: its words name the file or the address. */
const isOfSystem = ({ code, syscall }: NodeJS.ErrnoException) => code !== undefined && syscall !== undefined;
