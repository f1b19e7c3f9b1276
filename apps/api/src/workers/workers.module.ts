/** The workers that are alive, and what they run. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { WorkerStore } from '#database';
import { BackgroundJobs } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideStores } from '../infrastructure/provide.ts';
import { WorkersController } from './workers.controller.ts';

/** Seconds after its last heartbeat when the row of a worker is deleted. */
const deleteAfterS = 3_600;

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  controllers: [WorkersController],
  providers: provideStores(WorkerStore),
})
export class WorkersModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(WorkerStore) private readonly workers: WorkerStore,
  ) {}

  onModuleInit(): void {
    const run = () => this.workers.deleteExpired(deleteAfterS);
    this.jobs.addReconcileSteps({ name: 'deleteExpiredWorkers', run });
  }
}
