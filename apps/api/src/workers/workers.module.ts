/** The workers that are alive, and what they run. */
import { Module } from '@nestjs/common';
import { WorkerStore } from '#database';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores } from '../infrastructure/provide.ts';
import { WorkersController } from './workers.controller.ts';

@Module({
  imports: [InfrastructureModule],
  controllers: [WorkersController],
  providers: provideStores(WorkerStore),
})
export class WorkersModule {}
