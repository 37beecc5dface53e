/** The events of a task that is followed. */
import { OrchestratorError } from '../kernel/errors.js';
import { TaskEvent } from './orchestrator.schema.js';
import { readEvents } from './server-events.js';

/** Events this version does not know are passed over. Throws `invalid_request` for what is no event of an orchestrator. */
export async function* taskEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<TaskEvent> {
  for await (const told of readEvents(body)) {
    if (!TaskEvent.options.some(({ shape }) => shape.event.value === told.event)) continue;
    if (!TaskEvent.safeParse(told).success)
      throw new OrchestratorError('invalid_request', `an event "${told.event}" is none that an orchestrator sends`);
    yield told as TaskEvent; // what came, in its order
  }
}
