/** A database with every store on it, and batches brought to the state that a test begins from. */
import { newId, type CreateBatchBody } from '@millrace/contracts';
import {
  AccessStore,
  BatchLifeStore,
  BatchStore,
  CheckpointStore,
  ChunkStore,
  Database,
  FileStore,
  PlanStore,
  ModelWishStore,
  ResultStore,
  TaskStore,
  UploadStore,
  UsageStore,
  WorkerStore,
  type WorkerState,
  type BatchRow,
  type ChunkResult,
  type ClaimedChunk,
  type Metering,
} from '#database';
import { createDatabase } from '../../support/postgres.ts';

export type StoresFixture = Awaited<ReturnType<typeof createStoresFixture>>;

export const linesPerChunk = 10;

export async function createStoresFixture() {
  const server = await createDatabase();
  const database = await Database.connect({ url: server.url, poolMax: 16, applicationName: 'stores-test' });
  await database.migrate();
  const stores = {
    access: new AccessStore(database),
    batches: new BatchStore(database),
    life: new BatchLifeStore(database),
    chunks: new ChunkStore(database),
    checkpoints: new CheckpointStore(database),
    files: new FileStore(database),
    plans: new PlanStore(database),
    results: new ResultStore(database),
    uploads: new UploadStore(database),
    workers: new WorkerStore(database),
    tasks: new TaskStore(database),
    wishes: new ModelWishStore(database),
    usage: new UsageStore(database),
  };
  const house = {
    database,
    ...stores,

    async workspace(): Promise<string> {
      const id = newId('workspace');
      await database.rows('insert into workspaces (id, name) values ($1, $1)', [id]);
      return id;
    },

    async file(workspaceId: string, over: Partial<Parameters<FileStore['create']>[1]> = {}): Promise<string> {
      const id = newId('file');
      const segments = [{ key: `${workspaceId}/files/${id}.jsonl`, bytes: 1_000, lines: 100 }];
      await stores.files.create(workspaceId, {
        id,
        purpose: 'batch',
        filename: 'input.jsonl',
        segments,
        expiresInS: null,
        ...over,
      });
      return id;
    },

    body: (inputFileId: string): CreateBatchBody & { input_file_id: string } => ({
      input_file_id: inputFileId,
      endpoint: '/v1/embeddings',
      completion_window: '24h',
    }),

    /** A batch that waits for its plan. */
    async submitted(workspaceId: string): Promise<string> {
      const id = newId('batch');
      const body = house.body(await house.file(workspaceId));
      await stores.batches.create(workspaceId, { ...body, id, kind: 'embeddings' }, null);
      return id;
    },

    /** A batch in progress, none of its chunks dispatched yet. */
    async planned(workspaceId: string, chunks: number): Promise<string> {
      const batchId = await house.submitted(workspaceId);
      const plan = (await stores.plans.claim(batchId, 1))!;
      await stores.plans.addChunks(plan, buildPlan(chunks));
      await stores.plans.accept(plan, buildAcceptedPlan(chunks));
      return batchId;
    },

    async row(batchId: string): Promise<BatchRow & { sequence: number }> {
      const [row] = await database.rows<BatchRow>(
        `select *, chunks_done as "chunksDone", chunk_count as "chunkCount", output_file_id as "outputFileId",
           error_file_id as "errorFileId", plan_attempt as "planAttempt", input_tokens as "inputTokens"
         from batches where id = $1`,
        [batchId],
      );
      return row!;
    },

    /** Its facts but for the milestones, which depend on how many lines each chunk has. */
    async facts(batchId: string): Promise<string[]> {
      const rows = await database.rows<{ type: string }>(
        `select type from events where subject = $1 and type <> 'batch.progress' order by sequence`,
        [batchId],
      );
      return rows.map(({ type }) => type);
    },

    async attempts(batchId: string): Promise<{ chunk: number; number: number; outcome: string | null }[]> {
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
  return house;
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

/** A chunk's records as the worker hands them in: all good but for what is said. */
export function buildChunkResult(chunk: ClaimedChunk, over: Partial<ChunkResult> = {}): ChunkResult {
  const { failed = 0, canceled = 0, expired = 0 } = over;
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
    ...over,
  };
}

/** What an attempt has used whose provider knows no costs. */
export const buildMetering = (outputBytes: number, over: Partial<Metering> = {}): Metering => ({
  ...{ token: null, inputBytes: null, outputBytes, firstTokenMs: null, images: 0, mediaMs: 0 },
  ...{ reportedCost: null, reportedRequests: 0, estimatedCost: null },
  ...over,
});

/** What a worker says at a beat: it takes work, and has nothing in hand. */
export const buildIdleState = (over: Partial<WorkerState> = {}): WorkerState => ({
  consuming: true,
  memoryBytes: 2 ** 20,
  running: [],
  models: [],
  device: null,
  ...over,
});
