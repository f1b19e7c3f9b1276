/** Batches: create, follow, control, retry; the dispatch of their chunks and the composition of their outputs. */
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import {
  BatchCompletionStore,
  BatchControlStore,
  BatchStore,
  ChunkQueueStore,
  CompositionStore,
  FileStore,
  ResultStore,
} from '#database';
import type { Queues } from '#queues';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import { BackgroundJobs } from '../background/background-jobs.ts';
import { BackgroundModule } from '../background/background.module.ts';
import { InfrastructureModule } from '../infrastructure/infrastructure.module.ts';
import { provideOptions, provideStores, provideWith } from '../infrastructure/provide.ts';
import { BUS, LOGGER, OBJECTS, PROVIDERS, QUEUES, WEBHOOK_TOOLS } from '../infrastructure/tokens.ts';
import { BATCH_LIMITS, MAX_PENDING_LINES } from './batch-limits.ts';
import { BatchLifecycleController } from './batch-lifecycle.controller.ts';
import { BatchesController } from './batches.controller.ts';
import { CANCEL_BATCH, cancelBatchWith } from './cancel-batch.ts';
import { composeNextFile } from './compose-outputs.ts';
import { CONTROL_BATCH, controlBatchWith } from './control-batch.ts';
import { CREATE_BATCH, createBatchWith } from './create-batch.ts';
import { dispatchChunks } from './dispatch-chunks.ts';
import { READ_RESULTS, readResultsWith } from './read-results.ts';
import { RETRY_BATCH, retryBatchWith } from './retry-batch.ts';

/** Chunks of one batch in the queue or running at once. */
const CHUNK_WINDOW = Symbol('chunk window');

const dispatchEveryMs = 1_000;
/** How often a file to compose is looked for, and how long its old segments stay for their readers. */
const composeEveryMs = 5_000;
const composeGraceS = 3_600;

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
      ChunkQueueStore,
      CompositionStore,
      FileStore,
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
  ],
})
export class BatchesModule implements OnModuleInit {
  constructor(
    @Inject(BackgroundJobs) private readonly jobs: BackgroundJobs,
    @Inject(ChunkQueueStore) private readonly chunks: ChunkQueueStore,
    @Inject(CompositionStore) private readonly compositions: CompositionStore,
    @Inject(QUEUES) private readonly queues: Queues,
    @Inject(OBJECTS) private readonly objects: ObjectStorage,
    @Inject(CHUNK_WINDOW) private readonly window: number,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  onModuleInit(): void {
    const { chunks, queues, window, log } = this;
    this.jobs.addElectedLoop({
      name: 'dispatch',
      intervalMs: dispatchEveryMs,
      wakeOn: ['batch.planned', 'chunk.done'],
      run: () => dispatchChunks({ chunks, queues, window, log }),
    });
    this.addComposition();
  }

  private addComposition(): void {
    const { compositions, objects, log } = this;
    const compose = objects.compose?.bind(objects);
    // A disk has no `compose`: it would write all bytes a second time, and a list of files reads as fast as one.
    if (!compose) return;
    const options = {
      compositions,
      objects: { compose, delete: (keys: readonly string[]) => objects.delete(keys) },
      graceS: composeGraceS,
      log,
    };
    this.jobs.addElectedLoop({
      name: 'compose',
      intervalMs: composeEveryMs,
      isRelaxed: true,
      run: async () => {
        while (await composeNextFile(options));
      },
    });
  }
}
