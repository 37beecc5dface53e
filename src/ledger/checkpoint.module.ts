import { join } from 'node:path';
import { type DynamicModule, Module } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import { newId } from '../kernel/ids.system.js';
import { Log } from '../kernel/log.system.js';
import { Appender } from './append.worker.js';
import type { CheckpointSettings } from './checkpoint.settings.js';
import { Checkpoints } from './checkpoint.worker.js';
import { CheckpointDirectory } from './checkpoint-dir.system.js';
import { Database } from './database.postgres.js';
import { LedgerAdvanced } from './ledger.module.js';
import type { LedgerSettings } from './ledger.settings.js';
import { LogEpochs } from './log-epoch.postgres.js';
import { createLogKeys, newSignerKey, readLogKeys } from './log-keys.system.js';
import { formatVerifierKey, type SignerKey, verifierOf } from './note.js';
import { CheckpointSigner } from './signer.postgres.js';

type Settings = CheckpointSettings & Pick<LedgerSettings, 'DATA_DIR'>;

@EventsHandler(LedgerAdvanced)
export class WakeCheckpoints implements IEventHandler<LedgerAdvanced> {
  constructor(private readonly checkpoints: Checkpoints) {}

  handle(): void {
    this.checkpoints.kick();
  }
}

@Module({})
export class CheckpointModule {
  static with(settings: Settings): DynamicModule {
    const checkpoints = {
      provide: Checkpoints,
      inject: [Database, Appender, Log],
      useFactory: async (db: Database, appender: Appender, log: Log) => {
        const keyFile = settings.LOG_KEY_FILE ?? join(settings.DATA_DIR, 'log.key');
        const keys = settings.CHECKPOINT_INTERVAL_MS === 0 ? 'CHECKPOINT_INTERVAL_MS is 0' : await keysOf(keyFile, settings, log);
        const complain = (why: string) => log.error({ refused: why }, 'no checkpoint is signed');
        if (typeof keys === 'string') return new Checkpoints(db, keys, 0, complain);
        const directory = settings.CHECKPOINT_DIR === undefined ? null : new CheckpointDirectory(settings.CHECKPOINT_DIR);
        const epochs = new LogEpochs(db, appender, { wanted: settings.LOG_ORIGIN, keys, keyFile }, directory);
        return new Checkpoints(db, new CheckpointSigner(db, epochs, keys, directory), settings.CHECKPOINT_INTERVAL_MS, complain);
      },
    };
    return { module: CheckpointModule, global: true, providers: [checkpoints, WakeCheckpoints], exports: [Checkpoints] };
  }
}

/** The keys, or why there are none. Where nobody named a file, one is made: a start needs no preparation. */
async function keysOf(file: string, { LOG_KEY_FILE, LOG_ORIGIN }: Settings, log: Log): Promise<SignerKey[] | string> {
  const keys = await readLogKeys(file);
  if (keys) return keys;
  const make = `agent-orchestrator log keygen --origin ${LOG_ORIGIN ?? 'example.com/log'} --file ${file}`;
  if (LOG_KEY_FILE !== undefined || LOG_ORIGIN !== undefined) {
    throw new OrchestratorError('bad_configuration', `there is no key for the log in ${file}; make one: ${make}`);
  }
  const key = newSignerKey(`agent-orchestrator.local/${newId().toLowerCase()}`);
  try {
    await createLogKeys(file, [key]);
  } catch (error) {
    const why = `${(error as Error).message}; make one elsewhere and name it in LOG_KEY_FILE: ${make}`;
    log.warn({}, `no checkpoint is signed: ${why}`);
    return why;
  }
  const proper = 'agent-orchestrator log keygen --origin example.com/log --add, then start with LOG_ORIGIN=example.com/log';
  log.warn({ file, vkey: formatVerifierKey(verifierOf(key)) }, `made a development key for the log; before others rely on it: ${proper}`);
  return readLogKeys(file).then((made) => made ?? [key]);
}
