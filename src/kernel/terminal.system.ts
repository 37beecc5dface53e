/** Where the command line writes. */
import pc from 'picocolors';

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** What was asked for goes to `stdout`, everything else to `stderr`. */
export interface Terminal {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type Colours = ReturnType<typeof pc.createColors>;

/** NO_COLOR is stronger than FORCE_COLOR; without either, a terminal that can is coloured. */
export function coloursOf(output: Output, env: Terminal['env']): Colours {
  const { NO_COLOR: never, FORCE_COLOR: forced, TERM } = env;
  const able = forced ? forced !== '0' : output.isTTY === true && TERM !== 'dumb';
  return pc.createColors(!never && able);
}
