import { type DynamicModule, Module } from '@nestjs/common';
import { Anchors } from '../../ledger/anchors.worker.js';
import { Database } from '../../ledger/database.postgres.js';
import type { AnchorSettings } from './anchors.settings.js';
import { DirectoryAnchor } from './directory.system.js';
import { WebhookAnchor } from './webhook.client.js';
import { WitnessAnchor } from './witness.client.js';

@Module({})
export class AnchorsModule {
  static with({ ANCHOR_DIR, ANCHOR_URL, ANCHOR_WITNESSES = [], ANCHOR_INTERVAL_SECONDS }: AnchorSettings): DynamicModule {
    const anchors = [
      ...(ANCHOR_DIR === undefined ? [] : [new DirectoryAnchor(ANCHOR_DIR)]),
      ...(ANCHOR_URL === undefined ? [] : [new WebhookAnchor(ANCHOR_URL)]),
      ...ANCHOR_WITNESSES.map(({ key, url }) => new WitnessAnchor(key, url)),
    ];
    const worker = {
      provide: Anchors,
      inject: [Database],
      useFactory: (db: Database) => new Anchors(db, anchors, ANCHOR_INTERVAL_SECONDS),
    };
    return { module: AnchorsModule, providers: [worker], exports: [Anchors] };
  }
}
