import { OrchestratorError } from '../kernel/errors.js';

/** The parts of a cursor: what the groups of `shape` match. Cursors name a place, so that pages stay put while events arrive. */
export function parseCursor(cursor: string | undefined, shape: RegExp): string[] | undefined {
  if (cursor === undefined) return undefined;
  const match = shape.exec(cursor);
  if (!match)
    throw new OrchestratorError('invalid_request', `cursor "${cursor.slice(0, 40)}" is not one of this listing; take next_cursor as it is`);
  return match.slice(1);
}
