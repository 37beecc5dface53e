import { Controller, Delete, Get, Param } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import type { Caller } from '../kernel/principal.js';
import { CancelTask } from '../orchestration/cancel-task.commands.js';
import { GetTask } from '../orchestration/tasks.queries.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { BAD_BODY, Problems } from './problem.filter.js';
import { TaskId, TaskTree } from './tasks.schema.js';

@Controller('v1/tasks')
@ApiTags('orchestrate')
export class TasksController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get(':id')
  @Needs('contracts:read')
  @ApiOperation({
    summary: 'What became of a task',
    description:
      'All its contracts from the record, steps and further attempts with what they belong to; while it runs, as far as it has come.',
  })
  @ApiOkResponse({ description: 'The task', standardSchema: TaskTree })
  @Problems('invalid_request', 'not_found', 'ledger_unavailable')
  getTask(@Param('id', { schema: TaskId }) id: string, @CurrentCaller() caller: Caller): Promise<z.output<typeof TaskTree>> {
    return this.queries.execute(new GetTask(caller.tenant, id));
  }

  @Delete(':id')
  @Needs('orchestrate')
  @ApiOperation({
    summary: 'Cancel a task',
    description:
      'What runs is cancelled at the agents and recorded as `cancelled`, by whichever replica runs it; steps that have not begun are not begun. Waits up to three ' +
      'seconds for that, and answers with the task as it then stands. Of a task that has ended it changes nothing.',
  })
  @ApiOkResponse({ description: 'The task', standardSchema: TaskTree })
  @Problems(...BAD_BODY, 'not_found', 'ledger_unavailable')
  cancelTask(@Param('id', { schema: TaskId }) id: string, @CurrentCaller() caller: Caller): Promise<z.output<typeof TaskTree>> {
    return this.commands.execute(new CancelTask(caller.tenant, id));
  }
}
