/** Batches: create, follow, control, retry; and their background jobs: dispatch, composition, reconcile steps. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import {
  BatchCompletionStore,
  BatchControlStore,
  BatchStore,
  CheckpointStore,
  ChunkQueueStore,
  CompositionStore,
  FileStore,
  PlanStore,
  ResultStore,
} from '#database';
import { BackgroundJobs, type ReconcileStep } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../infrastructure/provide.ts';
import { BUS, LOGGER, OBJECTS, PROVIDERS, QUEUES, WEBHOOK_TOOLS } from '../infrastructure/tokens.ts';
import { BATCH_LIMITS, MAX_PENDING_LINES } from './batch-limits.ts';
import { BatchLifecycleController } from './batch-lifecycle.controller.ts';
import { BatchesController } from './batches.controller.ts';
import { CANCEL_BATCH, cancelBatchWith } from './cancel-batch.ts';
import { COMPOSE_OUTPUTS, composeOutputsWith, type ComposeOutputs } from './compose-outputs.ts';
import { CONTROL_BATCH, controlBatchWith } from './control-batch.ts';
import { CREATE_BATCH, createBatchWith } from './create-batch.ts';
import { DISPATCH_CHUNKS, dispatchChunksWith, type DispatchChunks } from './dispatch-chunks.ts';
import { READ_RESULTS, readResultsWith } from './read-results.ts';
import { RECONCILE_BATCHES, reconcileBatchesWith } from './reconcile-batches.ts';
import { RETRY_BATCH, retryBatchWith } from './retry-batch.ts';

/** Chunks of one batch in the queue or running at once. */
const CHUNK_WINDOW = Symbol('chunk window');

const dispatchEveryMs = 1_000;
/** How often a file to compose is looked for. */
const composeEveryMs = 5_000;

/** What the submission of a new batch needs. */
const submission = {
  batches: BatchStore,
  objects: OBJECTS,
  queues: QUEUES,
  maxPendingLines: MAX_PENDING_LINES,
  log: LOGGER,
};

@Module({
  imports: [InfrastructureModule, BackgroundModule],
  controllers: [BatchesController, BatchLifecycleController],
  providers: [
    ...provideStores(
      BatchCompletionStore,
      BatchControlStore,
      BatchStore,
      CheckpointStore,
      ChunkQueueStore,
      CompositionStore,
      FileStore,
      PlanStore,
      ResultStore,
    ),
    provideOptions(CHUNK_WINDOW, (config) => config.CHUNK_WINDOW),
    provideOptions(MAX_PENDING_LINES, (config) => config.WORKSPACE_MAX_PENDING_LINES),
    provideOptions(BATCH_LIMITS, (config) => ({
      lineMaxBytes: config.LINE_MAX_BYTES,
      batchMaxLines: config.BATCH_MAX_LINES,
    })),
    provideWith(CREATE_BATCH, createBatchWith, {
      ...submission,
      files: FileStore,
      providers: PROVIDERS,
      webhookTools: WEBHOOK_TOOLS,
      limits: BATCH_LIMITS,
    }),
    provideWith(RETRY_BATCH, retryBatchWith, {
      ...submission,
      files: FileStore,
      webhookTools: WEBHOOK_TOOLS,
    }),
    provideWith(CANCEL_BATCH, cancelBatchWith, {
      batches: BatchStore,
      completion: BatchCompletionStore,
      bus: BUS,
      log: LOGGER,
    }),
    provideWith(CONTROL_BATCH, controlBatchWith, { control: BatchControlStore, bus: BUS }),
    provideWith(READ_RESULTS, readResultsWith, {
      results: ResultStore,
      completion: BatchCompletionStore,
      objects: OBJECTS,
    }),
    provideWith(DISPATCH_CHUNKS, dispatchChunksWith, {
      chunks: ChunkQueueStore,
      queues: QUEUES,
      window: CHUNK_WINDOW,
      log: LOGGER,
    }),
    provideWith(COMPOSE_OUTPUTS, composeOutputsWith, {
      compositions: CompositionStore,
      objects: OBJECTS,
      log: LOGGER,
    }),
    provideWith(RECONCILE_BATCHES, reconcileBatchesWith, {
      batches: BatchStore,
      plans: PlanStore,
      chunks: ChunkQueueStore,
      completion: BatchCompletionStore,
      checkpoints: CheckpointStore,
      queues: QUEUES,
      objects: OBJECTS,
      bus: BUS,
      log: LOGGER,
    }),
  ],
})
export class BatchesModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(DISPATCH_CHUNKS) private readonly dispatchChunks: DispatchChunks,
    @Inject(COMPOSE_OUTPUTS) private readonly composeOutputs: ComposeOutputs | null,
    @Inject(RECONCILE_BATCHES) private readonly reconcileSteps: readonly ReconcileStep[],
  ) {}

  onModuleInit(): void {
    const { jobs, dispatchChunks, composeOutputs, reconcileSteps } = this;
    jobs.addElectedLoop({
      name: 'dispatch',
      intervalMs: dispatchEveryMs,
      wakeOn: ['batch.planned', 'chunk.done'],
      run: dispatchChunks,
    });
    if (composeOutputs) {
      jobs.addElectedLoop({
        name: 'compose',
        intervalMs: composeEveryMs,
        isRelaxed: true,
        run: composeOutputs,
      });
    }
    jobs.addReconcileSteps(...reconcileSteps);
  }
}
