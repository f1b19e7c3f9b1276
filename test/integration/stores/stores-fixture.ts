/** A migrated database with all stores, and functions that create batches in the state that a test starts from. */
import { createId, type CreateBatchBody } from '@millrace/contracts';
import {
  AccessStore,
  BatchCompletionStore,
  BatchControlStore,
  BatchStore,
  CheckpointStore,
  ChunkQueueStore,
  ChunkStore,
  Database,
  DesiredModelStore,
  FileStore,
  PlanStore,
  ResultStore,
  TaskQueueStore,
  TaskRunStore,
  TaskStore,
  UploadCompletionStore,
  UploadStore,
  UsageStore,
  WorkerStore,
  type BatchRow,
  type ChunkResult,
  type ClaimedChunk,
  type Metering,
  type WorkerState,
} from '#database';
import { createMigratedDatabase } from '../../support/migrated-database.ts';

export type StoresFixture = Awaited<ReturnType<typeof createStoresFixture>>;

export const linesPerChunk = 10;

export async function createStoresFixture() {
  const server = await createMigratedDatabase();
  const database = await Database.connect({ url: server.url, poolMax: 16, applicationName: 'stores-test' });
  const stores = {
    access: new AccessStore(database),
    batches: new BatchStore(database),
    batchControl: new BatchControlStore(database),
    chunks: new ChunkStore(database),
    chunkQueue: new ChunkQueueStore(database),
    checkpoints: new CheckpointStore(database),
    completion: new BatchCompletionStore(database),
    files: new FileStore(database),
    plans: new PlanStore(database),
    results: new ResultStore(database),
    uploads: new UploadStore(database),
    uploadCompletion: new UploadCompletionStore(database),
    workers: new WorkerStore(database),
    tasks: new TaskStore(database),
    taskRuns: new TaskRunStore(database),
    taskQueue: new TaskQueueStore(database),
    desiredModels: new DesiredModelStore(database),
    usage: new UsageStore(database),
  };
  const fixture = {
    url: server.url,
    database,
    ...stores,

    async createWorkspace(): Promise<string> {
      const id = createId('workspace');
      await database.rows('insert into workspaces (id, name) values ($1, $1)', [id]);
      return id;
    },

    async createFile(
      workspaceId: string,
      overrides: Partial<Parameters<FileStore['create']>[1]> = {},
    ): Promise<string> {
      const id = createId('file');
      const segments = [{ key: `${workspaceId}/files/${id}.jsonl`, bytes: 1_000, lines: 100 }];
      await stores.files.create(workspaceId, {
        id,
        purpose: 'batch',
        filename: 'input.jsonl',
        segments,
        expiresInS: null,
        ...overrides,
      });
      return id;
    },

    buildBatchBody: (inputFileId: string): CreateBatchBody & { input_file_id: string } => ({
      input_file_id: inputFileId,
      endpoint: '/v1/embeddings',
      completion_window: '24h',
    }),

    /** Creates a batch that waits for its plan. */
    async createBatch(workspaceId: string): Promise<string> {
      const id = createId('batch');
      const body = fixture.buildBatchBody(await fixture.createFile(workspaceId));
      await stores.batches.create(workspaceId, { ...body, id, kind: 'embeddings' }, null);
      return id;
    },

    /** Creates a batch that is in progress; none of its chunks is dispatched. */
    async createPlannedBatch(workspaceId: string, chunks: number): Promise<string> {
      const batchId = await fixture.createBatch(workspaceId);
      const plan = (await stores.plans.claim(batchId, 1))!;
      await stores.plans.addChunks(plan, buildPlan(chunks));
      await stores.plans.accept(plan, buildAcceptedPlan(chunks));
      return batchId;
    },

    async getBatchRow(batchId: string): Promise<BatchRow & { sequence: number }> {
      const [row] = await database.rows<BatchRow>(
        `select *, chunks_done as "chunksDone", chunk_count as "chunkCount", output_file_id as "outputFileId",
           error_file_id as "errorFileId", plan_attempt as "planAttempt", input_tokens as "inputTokens"
         from batches where id = $1`,
        [batchId],
      );
      return row!;
    },

    /** The types of its events, without milestones: those depend on the number of lines per chunk. */
    async listEventTypes(batchId: string): Promise<string[]> {
      const rows = await database.rows<{ type: string }>(
        `select type from events where subject = $1 and type <> 'batch.progress' order by sequence`,
        [batchId],
      );
      return rows.map(({ type }) => type);
    },

    async listAttempts(
      batchId: string,
    ): Promise<{ chunk: number; number: number; outcome: string | null }[]> {
      return database.rows(
        'select chunk, number, outcome from attempts where batch_id = $1 order by chunk, number',
        [batchId],
      );
    },

    async close() {
      await database.close();
      await server.drop();
    },
  };
  return fixture;
}

export const buildPlan = (chunks: number) =>
  Array.from({ length: chunks }, (_, index) => ({
    index,
    firstLine: index * linesPerChunk + 1,
    lines: linesPerChunk,
    byteStart: index * 100,
    byteLength: 100,
  }));

export const buildAcceptedPlan = (chunks: number) => ({
  model: 'sandbox/embeddings',
  provider: 'sandbox',
  pool: 'remote',
  total: chunks * linesPerChunk,
  chunkCount: chunks,
});

/** A chunk's result as a worker commits it. All lines succeed unless `overrides` says otherwise. */
export function buildChunkResult(chunk: ClaimedChunk, overrides: Partial<ChunkResult> = {}): ChunkResult {
  const { failed = 0, canceled = 0, expired = 0 } = overrides;
  const completed = chunk.lines - failed - canceled - expired;
  const key = (which: string) =>
    `${chunk.workspaceId}/batches/${chunk.batchId}/${chunk.index}-${chunk.attempt}.${which}`;
  return {
    completed,
    failed,
    canceled,
    expired,
    output: completed > 0 ? { key: key('output'), bytes: completed * 7 } : null,
    errors: completed < chunk.lines ? { key: key('error'), bytes: (chunk.lines - completed) * 3 } : null,
    inputTokens: completed * 2,
    outputTokens: 0,
    providerMs: 12.4,
    storeMs: 3.6,
    latencyHistogram: { '20': 1 },
    errorCodes: failed > 0 ? { provider_error: failed } : {},
    metering: buildMetering(completed * 7),
    ...overrides,
  };
}

/** The metering of an attempt whose provider reports no costs. */
export const buildMetering = (outputBytes: number, overrides: Partial<Metering> = {}): Metering => ({
  ...{ token: null, inputBytes: null, outputBytes, firstTokenMs: null, images: 0, mediaMs: 0 },
  ...{ reportedCost: null, reportedRequests: 0, estimatedCost: null },
  ...overrides,
});

/** The state in a heartbeat of a worker that takes jobs and runs none. */
export const buildIdleState = (overrides: Partial<WorkerState> = {}): WorkerState => ({
  consuming: true,
  memoryBytes: 2 ** 20,
  running: [],
  models: [],
  device: null,
  ...overrides,
});
