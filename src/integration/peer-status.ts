/** Whose fault it is when a peer that only receives answers with a status that is no success: that of what was sent, or the peer's own. */

/** It lets nobody in, whatever he brings. */
export const NOBODY_ENTERS: readonly number[] = [401, 402, 403, 407, 511];
const PASSING = [408, 421, 425, 429];
const NEVER = [501, 505];

/** To send just this again is in vain. All others concern everything that is sent, and may pass. */
export function refuses(status: number): boolean {
  if (NEVER.includes(status)) return true;
  return status >= 400 && status < 500 && !NOBODY_ENTERS.includes(status) && !PASSING.includes(status);
}
