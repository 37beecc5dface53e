/**
 * A task followed while it runs: Server-Sent Events `contract`, `status`, `delta`, of a plan `step`, then one `result`, or `error` where the
 * ledger was lost.
 * The response begins with the first event: whatever fails before that is an ordinary problem with its status.
 */
import type { ServerResponse } from 'node:http';
import type { StreamableFile } from '@nestjs/common';
import { Stop } from '../agents/agent-client.js';
import type { Follower } from '../orchestration/carrier.system.js';
import type { OrchestrateResult } from '../orchestration/orchestrate.commands.js';
import { EventWriter } from './event-writer.stream.js';
import type { Problem } from './problem.schema.js';

/** Resolves when the first event is there, rejects with what `work` fails with before. Who hangs up on `response` stops the work. */
export function followed(
  work: (follower: Follower) => Promise<OrchestrateResult>,
  response: ServerResponse,
  problemOf: (error: unknown) => Problem,
  heartbeatMs?: number,
): Promise<StreamableFile> {
  const gone = new Stop();
  response.once('close', () => gone.stop(new Error('the caller hung up before the agent answered')));
  return new Promise((resolve, reject) => {
    let events: EventWriter | undefined;
    const follower: Follower = {
      gone,
      recorded(contract) {
        events ??= new EventWriter(heartbeatMs);
        events.write('contract', contract);
        resolve(events.file());
      },
      progress: (progress, step) => events?.offer('status' in progress ? 'status' : 'delta', { ...progress, ...(step && { step }) }),
      ended: (step) => events?.write('step', step),
    };
    work(follower)
      .then(
        (result) => events?.write('result', result),
        (error: unknown) => (events ? events.write('error', problemOf(error)) : reject(error as Error)),
      )
      .finally(() => events?.end());
  });
}
