/** The log of this process, on stdout. */
import { type DestinationStream, pino } from 'pino';
import pretty from 'pino-pretty';
import type { LogSettings } from './log.settings.js';
import { coloursOf } from './terminal.system.js';

/** Lines carry ids, codes and numbers: never a payload, never text that a caller or an agent wrote, except the caller's session id. */
export abstract class Log {
  abstract debug(facts: object, message: string): void;
  abstract info(facts: object, message: string): void;
  abstract warn(facts: object, message: string): void;
  abstract error(facts: object, message: string): void;
}

const MAX_BUFFERED = 16 * 1024 * 1024;

export const isReadable = ({ LOG_FORMAT }: LogSettings): boolean =>
  LOG_FORMAT === 'pretty' || (LOG_FORMAT === 'auto' && process.stdout.isTTY);

export function openLog(settings: LogSettings, to?: DestinationStream): Log {
  const options = {
    level: settings.LOG_LEVEL,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level: string) => ({ level }) },
    serializers: { err: (error: unknown) => placeOf(error) },
  };
  if (isReadable(settings)) {
    const colorize = coloursOf(process.stdout, process.env).isColorSupported;
    const format = { colorize, translateTime: 'SYS:HH:MM:ss.l', messageFormat: inWords, hideObject: true };
    return pino(options, pretty({ ...format, sync: true, destination: to ?? 1 }));
  }
  return pino(options, to ?? stdout());
}

/**
 * Each line is written before its caller goes on, so none is lost when the process ends. But a reader of stdout that has stopped reading must
 * not stop us: what the pipe does not take waits for the next line, and is dropped beyond MAX_BUFFERED.
 */
function stdout(): DestinationStream {
  void process.stdout; // once Node has opened it, a pipe does not block
  const lines = pino.destination({ dest: 1, sync: true, maxLength: MAX_BUFFERED, retryEAGAIN: () => false });
  lines.on('error', () => undefined);
  return lines;
}

/** What happened, and the facts as name=value. */
function inWords({ level: _level, time: _time, msg, ...facts }: Record<string, unknown>): string {
  const known = Object.entries(facts).filter(([, value]) => value !== null);
  return [msg, ...known.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)].join(' ');
}

interface Place {
  readonly name: string;
  /** Of the operating system, or an SQLSTATE. */
  readonly code?: unknown;
  readonly constraint?: unknown;
  readonly at: string[];
  readonly cause?: Place;
}

/** Of an error its kind and its place. Its words are left out: they may quote what a caller or an agent wrote, and those of PostgreSQL a whole row. */
function placeOf(error: unknown, causes = 5): Place {
  if (!(error instanceof Error)) return { name: typeof error, at: [] };
  const { name, message, stack = '', cause } = error;
  const { code, constraint } = error as { code?: unknown; constraint?: unknown };
  const words = stack.indexOf(message);
  const at = words < 0 ? [] : (stack.slice(words + message.length).match(/(?<=^ {4}at ).+$/gm) ?? []);
  return {
    name,
    ...(code !== undefined && { code }),
    ...(constraint !== undefined && { constraint }),
    at,
    ...(cause !== undefined && causes > 0 && { cause: placeOf(cause, causes - 1) }),
  };
}
