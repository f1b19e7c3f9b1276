/** Health checks and metrics, without an API key. */
import { Module } from '@nestjs/common';
import { WorkerStore } from '#database';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores } from '../infrastructure/provide.ts';
import { HealthController } from './health.controller.ts';

@Module({
  imports: [InfrastructureModule],
  controllers: [HealthController],
  providers: provideStores(WorkerStore),
})
export class HealthModule {}
