/** How a peer that a follower feeds is doing, from what the follower's row and its worker say. */
import type { z } from 'zod';
import type { IntegrationStatus } from './status.schema.js';

interface Row {
  readonly name: string;
  readonly lag: number;
  readonly lag_seconds: number;
  readonly parked: number;
  readonly retrying: number;
  readonly error: string | null;
}

export function integrationStatus(
  name: string,
  following: readonly Row[],
  workers: Readonly<Record<string, Record<string, unknown>>>,
): z.output<typeof IntegrationStatus> {
  const worker = workers[`follower ${name}`];
  const row = following.find((one) => one.name === name);
  if (!worker || !row) return { status: 'off' };
  const { lag, lag_seconds, parked, retrying, error } = row;
  const status = error !== null ? 'unavailable' : parked > 0 ? 'degraded' : 'healthy';
  const { last_error: _, ...own } = worker;
  return { status, lag, lag_seconds, parked, retrying, last_error: error, ...own };
}

/** None that is connected is unwell. */
export const allHealthy = (...peers: readonly { status: string }[]): boolean =>
  peers.every(({ status }) => status === 'off' || status === 'healthy');
