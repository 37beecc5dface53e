/** Shows a task while it runs: what the agent tells goes to stderr as it comes, so that stdout keeps the answer alone. */
import { OrchestratorError } from '../kernel/errors.js';
import { lines, printable, printableJson } from '../kernel/printable.js';
import type { Output } from '../kernel/terminal.system.js';
import type { Answer, TaskEvent } from './orchestrator.schema.js';

type Told = AsyncIterable<Exclude<TaskEvent, { event: 'error' }>>;

/** One JSON object a line, the result among them. */
export async function eachOf(events: Told, output: Output): Promise<Answer> {
  for await (const told of events) {
    output.write(`${printableJson(told)}\n`);
    if (told.event === 'result') return told.data;
  }
  throw ended();
}

/** Text of the agent as it comes, everything else on lines of its own. */
export async function shown(events: Told, output: Output): Promise<Answer> {
  let within = false;
  const line = (text: string) => {
    output.write(`${within ? '\n' : ''}${text}\n`);
    within = false;
  };
  for await (const told of events) {
    if ('missed' in told.data && told.data.missed) line(`… ${String(told.data.missed)} left out: they came too fast`);
    switch (told.event) {
      case 'contract':
        line(printable(`contract ${told.data.contract_id} with ${told.data.agent_id ?? 'nobody'}`));
        break;
      case 'status':
        line(lines(told.data.status));
        break;
      case 'delta':
        output.write(lines(told.data.delta));
        within = !told.data.delta.endsWith('\n') && (within || told.data.delta !== '');
        break;
      case 'result':
        if (within) output.write('\n');
        return told.data;
    }
  }
  throw ended();
}

const ended = () => new OrchestratorError('internal', 'the events of a task ended without its result');
