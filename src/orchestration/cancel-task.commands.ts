import { setTimeout as sleep } from 'node:timers/promises';
import { Command, CommandHandler, EventBus, EventsHandler, type ICommandHandler, type IEventHandler, QueryBus } from '@nestjs/cqrs';
import { Database } from '../ledger/database.postgres.js';
import { RunningTasks } from './running-tasks.worker.js';
import { askToCancel } from './task-cancel.postgres.js';
import { GetTask, type TaskTree } from './tasks.queries.js';

/** How long the answer waits for the task to have ended: whoever carries it looks several times a second. */
const WAIT_MS = 3000;
const LOOK_MS = 100;

/**
 * Ends a task: what runs is cancelled at the agents and recorded so by the replica that runs it, what has not begun is not begun. Asked for
 * again, or of a task that has ended, it changes nothing. The answer shows the task as it then stands.
 */
export class CancelTask extends Command<TaskTree> {
  constructor(
    readonly tenant: string,
    readonly id: string,
  ) {
    super();
  }
}

/** What may be lost: tells this process at once what it would find in the database a moment later. */
export class TaskCancelled {
  constructor(readonly task: string) {}
}

@CommandHandler(CancelTask)
export class CancelTaskHandler implements ICommandHandler<CancelTask> {
  constructor(
    private readonly db: Database,
    private readonly queries: QueryBus,
    private readonly events: EventBus,
  ) {}

  async execute({ tenant, id }: CancelTask): Promise<TaskTree> {
    await this.queries.execute(new GetTask(tenant, id)); // refuses what is not there, or somebody else's
    await askToCancel(this.db, id);
    this.events.publish(new TaskCancelled(id));
    const end = Date.now() + WAIT_MS;
    for (;;) {
      const task = await this.queries.execute(new GetTask(tenant, id));
      if (task.status !== 'running' || Date.now() > end) return task;
      await sleep(LOOK_MS);
    }
  }
}

@EventsHandler(TaskCancelled)
export class TaskCancelledHandler implements IEventHandler<TaskCancelled> {
  constructor(private readonly tasks: RunningTasks) {}

  handle({ task }: TaskCancelled): void {
    this.tasks.cancel(task);
  }
}
