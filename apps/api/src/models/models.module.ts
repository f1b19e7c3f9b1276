/** Models: which exist, which workers have them loaded, and which are to be loaded. */
import { Module } from '@nestjs/common';
import { DesiredModelStore, WorkerStore } from '#database';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores, provideWith } from '../infrastructure/provide.ts';
import { BUS, PROVIDERS } from '../infrastructure/tokens.ts';
import { LIST_MODELS, listModelsWith } from './list-models.ts';
import { ModelsController } from './models.controller.ts';
import { READ_MODEL, readModelWith } from './read-model.ts';
import { SET_DESIRED_MODEL, setDesiredModelWith } from './set-desired-model.ts';

const readDeps = { workers: WorkerStore, desiredModels: DesiredModelStore, providers: PROVIDERS };

@Module({
  imports: [InfrastructureModule],
  controllers: [ModelsController],
  providers: [
    ...provideStores(DesiredModelStore, WorkerStore),
    provideWith(LIST_MODELS, listModelsWith, readDeps),
    provideWith(READ_MODEL, readModelWith, readDeps),
    provideWith(SET_DESIRED_MODEL, setDesiredModelWith, {
      desiredModels: DesiredModelStore,
      providers: PROVIDERS,
      bus: BUS,
      readModel: READ_MODEL,
    }),
  ],
})
export class ModelsModule {}
