/** Health checks and metrics, without an API key. */
import { Module } from '@nestjs/common';
import { Database, WorkerStore } from '#database';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores, provideWith } from '../infrastructure/provide.ts';
import { OBJECTS, QUEUES } from '../infrastructure/tokens.ts';
import { CHECK_READINESS, checkReadinessWith } from './check-readiness.ts';
import { HealthController } from './health.controller.ts';

@Module({
  imports: [InfrastructureModule],
  controllers: [HealthController],
  providers: [
    ...provideStores(WorkerStore),
    provideWith(CHECK_READINESS, checkReadinessWith, {
      database: Database,
      workers: WorkerStore,
      queues: QUEUES,
      objects: OBJECTS,
    }),
  ],
})
export class HealthModule {}
