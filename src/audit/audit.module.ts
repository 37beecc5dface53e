import { type DynamicModule, Module } from '@nestjs/common';
import { Log } from '../kernel/log.system.js';
import type { CheckpointSettings } from '../ledger/checkpoint.settings.js';
import { Database } from '../ledger/database.postgres.js';
import type { AuditSettings } from './audit.settings.js';
import { SelfCheck } from './self-check.worker.js';

@Module({})
export class AuditModule {
  static with({ VERIFY_INTERVAL, CHECKPOINT_DIR }: AuditSettings & Pick<CheckpointSettings, 'CHECKPOINT_DIR'>): DynamicModule {
    const selfCheck = {
      provide: SelfCheck,
      inject: [Database, Log],
      useFactory: (db: Database, log: Log) =>
        new SelfCheck(
          db,
          { intervalSeconds: VERIFY_INTERVAL ?? null, checkpointDir: CHECKPOINT_DIR },
          ({ verdict, events, found, first }) => {
            const told = { verdict, events, found, first };
            if (verdict === 'valid') log.info(told, 'the ledger verified itself');
            else log.error(told, 'the ledger did not pass its self-check');
          },
        ),
    };
    return { module: AuditModule, global: true, providers: [selfCheck], exports: [SelfCheck] };
  }
}
