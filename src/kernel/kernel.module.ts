import { type DynamicModule, Module } from '@nestjs/common';
import { Log } from './log.system.js';
import { Metrics } from './metrics.system.js';

/** What every room may ask for. */
@Module({})
export class KernelModule {
  static with(log: Log, metrics: Metrics): DynamicModule {
    return {
      module: KernelModule,
      global: true,
      providers: [
        { provide: Log, useValue: log },
        { provide: Metrics, useValue: metrics },
      ],
      exports: [Log, Metrics],
    };
  }
}
