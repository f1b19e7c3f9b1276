/** Models: which exist, which workers have them loaded, and which are to be loaded. */
import { Module } from '@nestjs/common';
import { DesiredModelStore, WorkerStore } from '#database';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores } from '../infrastructure/provide.ts';
import { ModelsController } from './models.controller.ts';

@Module({
  imports: [InfrastructureModule],
  controllers: [ModelsController],
  providers: provideStores(DesiredModelStore, WorkerStore),
})
export class ModelsModule {}
