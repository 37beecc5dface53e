import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { Database } from '../ledger/database.postgres.js';
import type { ViewsResult } from './replay-views.js';
import { applyViews, type Rebuilt } from './replay-views.postgres.js';

/** Puts rebuilt views in the place of the live ones. */
export class ApplyViews extends Command<ViewsResult> {
  constructor(readonly rebuilt: Rebuilt) {
    super();
  }
}

@CommandHandler(ApplyViews)
export class ApplyViewsHandler implements ICommandHandler<ApplyViews> {
  constructor(private readonly db: Database) {}

  execute({ rebuilt }: ApplyViews): Promise<ViewsResult> {
    return applyViews(this.db, rebuilt);
  }
}
