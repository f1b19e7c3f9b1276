/** Jobs that maintain the deployment as a whole: reconcile, delete what has expired, collect garbage. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import {
  BatchCompletionStore,
  BatchStore,
  CheckpointStore,
  ChunkQueueStore,
  FileStore,
  GarbageCollectionStore,
  PlanStore,
  RetentionStore,
  TaskQueueStore,
  UploadStore,
  WorkerStore,
} from '#database';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import { InfrastructureModule } from '../../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../../infrastructure/provide.ts';
import { BUS, LOGGER, OBJECTS, QUEUES } from '../../infrastructure/tokens.ts';
import { BackgroundJobs } from '../background-jobs.ts';
import { BackgroundModule } from '../background.module.ts';
import { throttle } from '../throttle.ts';
import { collectGarbage } from './collect-garbage.ts';
import { deleteExpired } from './delete-expired.ts';
import { reconcile, type ReconcileOptions } from './reconcile.ts';

const RECONCILE_OPTIONS = Symbol('reconcile options');
const RETENTION_OPTIONS = Symbol('retention options');

interface RetentionOptions {
  /** Age in seconds from which an object that no row refers to is garbage. */
  readonly garbageAgeS: number;
  readonly deliveryDays: number;
  readonly eventDays: number;
  readonly attemptDays: number;
}

const reconcileEveryMs = 2_000;
/** How often unfinished objects are looked for, and the age from which an upload will not finish one. */
const cleanUpEveryMs = 3_600_000;
const unfinishedObjectMs = 86_400_000;
/** A step looks at 5,000 objects: ten million take under three hours, at a load that is not noticed. */
const collectEveryMs = 5_000;
const nextPassAfterS = 6 * 3_600;
const deleteExpiredEveryMs = 60_000;

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  providers: [
    ...provideStores(
      BatchCompletionStore,
      BatchStore,
      CheckpointStore,
      ChunkQueueStore,
      FileStore,
      GarbageCollectionStore,
      PlanStore,
      RetentionStore,
      TaskQueueStore,
      UploadStore,
      WorkerStore,
    ),
    provideWith(RECONCILE_OPTIONS, (options: ReconcileOptions) => options, {
      batches: BatchStore,
      plans: PlanStore,
      chunks: ChunkQueueStore,
      completion: BatchCompletionStore,
      files: FileStore,
      uploads: UploadStore,
      checkpoints: CheckpointStore,
      workers: WorkerStore,
      tasks: TaskQueueStore,
      queues: QUEUES,
      objects: OBJECTS,
      bus: BUS,
      log: LOGGER,
    }),
    provideOptions(RETENTION_OPTIONS, (config): RetentionOptions => ({
      garbageAgeS: config.GARBAGE_AGE_HOURS * 3_600,
      deliveryDays: config.WEBHOOK_LOG_DAYS,
      eventDays: config.FEED_DAYS,
      attemptDays: config.ATTEMPT_DAYS,
    })),
  ],
})
export class MaintenanceModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(RECONCILE_OPTIONS) private readonly reconcileOptions: ReconcileOptions,
    @Inject(RETENTION_OPTIONS) private readonly retention: RetentionOptions,
    @Inject(GarbageCollectionStore) private readonly garbage: GarbageCollectionStore,
    @Inject(RetentionStore) private readonly retentionStore: RetentionStore,
    @Inject(OBJECTS) private readonly objects: ObjectStorage,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    const { jobs, objects, garbage, log } = this;
    const cleanUpUnfinished = throttle(cleanUpEveryMs, async () => {
      const removed = await objects.cleanUpUnfinished(unfinishedObjectMs);
      if (removed > 0) log.warn({ objects: removed }, 'removed unfinished objects from object storage');
    });
    jobs.addElectedLoop({
      name: 'reconcile',
      intervalMs: reconcileEveryMs,
      run: () => reconcile(this.reconcileOptions).then(cleanUpUnfinished),
    });
    const { garbageAgeS: ageS, ...days } = this.retention;
    const deleteOld = throttle(deleteExpiredEveryMs, () =>
      deleteExpired({ retention: this.retentionStore, ...days, log }),
    );
    jobs.addElectedLoop({
      name: 'garbage',
      intervalMs: collectEveryMs,
      isRelaxed: true,
      run: async () => {
        await deleteOld();
        await collectGarbage({ garbage, objects, ageS, everyS: nextPassAfterS, log });
      },
    });
  }
}
