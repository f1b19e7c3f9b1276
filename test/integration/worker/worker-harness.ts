/** The real planner and chunk runner on the real stores and a disk. The test plays the part of the queue. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { createId } from '@millrace/contracts';
import type { QueuedChunk } from '#database';
import { countLines, LineCounter, Prices } from '#domain';
import { createProviders, type Providers } from '#providers';
import type { Bus } from '#realtime';
import { createDiskStorage, findDamaged, readSegments, type ObjectStorage } from '#storage';
import { CommitQueue } from '../../../apps/worker/src/batches/chunks/commit-queue.ts';
import { InputFiles } from '../../../apps/worker/src/batches/chunks/input-files.ts';
import { runChunk, type RunChunkDeps } from '../../../apps/worker/src/batches/chunks/run-chunk.ts';
import { planBatch } from '../../../apps/worker/src/batches/planning/plan-batch.ts';
import { RunningWorkRegistry } from '../../../apps/worker/src/heartbeat/running-work.ts';
import { ModelRuntimes } from '../../../apps/worker/src/inference/model-runtimes.ts';
import { createStoresFixture } from '../stores/stores-fixture.ts';

const log = pino({ level: 'silent' });
const never = new AbortController().signal;
const bus = { publishUpdate: () => undefined, publish: async () => true } as unknown as Bus;

export type WorkerHarness = Awaited<ReturnType<typeof openWorkerHarness>>;

export interface OutputRecord {
  readonly id: string;
  readonly custom_id: string;
  readonly response: { readonly status_code: number } | null;
  readonly error: { readonly code: string } | null;
}

/** @param providers the sandbox only, by default. */
export async function openWorkerHarness({ route }: Pick<Providers, 'route'> = createProviders()) {
  const stores = await createStoresFixture();
  const root = await mkdtemp(join(tmpdir(), 'millrace-worker-'));
  const objects: ObjectStorage = await createDiskStorage({
    root,
    signing: { baseUrl: 'http://127.0.0.1:3000', secret: 'a secret of thirty-two characters or more' },
  });
  const { chunks, checkpoints, files, plans, results } = stores;
  const common = { workerId: 'w', route, objects, bus, lineMaxBytes: 1_000_000 };
  const chunkDeps = {
    ...common,
    chunks,
    completion: stores.completion,
    checkpoints,
    inputFiles: new InputFiles(files),
    runtimes: new ModelRuntimes(),
    runningWork: new RunningWorkRegistry(),
    prices: new Prices(),
    media: { files, objects, outbound: null as never },
  };
  const planDeps = { ...common, plans, files, results, batchMaxLines: 10_000 };

  /** Runs a chunk up to its commit, and ends the batch when it was the last one. */
  const run = async (chunk: QueuedChunk, overrides: Partial<RunChunkDeps> = {}) => {
    const commitQueue = new CommitQueue(1);
    await runChunk(chunk, { ...chunkDeps, commitQueue, ...overrides }, never, log);
    if (!overrides.commitQueue) await commitQueue.drain();
  };

  return {
    stores,
    root,
    objects,
    run,

    /** Creates a batch with this input and plans it. @returns its id. */
    async createPlannedBatch(text: string, inWorkspace?: string): Promise<string> {
      const workspaceId = inWorkspace ?? (await stores.createWorkspace());
      const id = createId('file');
      const key = `${workspaceId}/files/${id}.jsonl`;
      const counter = new LineCounter();
      const { bytes } = await objects.put(key, countLines(toStream(text), counter));
      await stores.createFile(workspaceId, {
        id,
        segments: [{ key, bytes, lines: counter.lines, lineIndex: counter.end() }],
      });
      const batchId = createId('batch');
      await stores.batches.create(
        workspaceId,
        { ...stores.buildBatchBody(id), id: batchId, kind: 'embeddings' },
        null,
      );
      await planBatch({ batchId, generation: 1 }, planDeps, never, log);
      return batchId;
    },

    /** Dispatches and runs chunks until none is left. @returns how many were run. */
    async drain(overrides: Partial<RunChunkDeps> = {}): Promise<number> {
      for (let count = 0; ;) {
        const queued = await stores.chunkQueue.dispatch(8, 100);
        if (queued.length === 0) return count;
        for (const chunk of queued) await run(chunk, overrides);
        count += queued.length;
      }
    },

    /** Ends the batch as the worker of the last chunk does. @returns false when chunks run again instead. */
    async finishBatch(batchId: string): Promise<boolean> {
      const reopened = await stores.completion.reopenDamaged(batchId, (segments) =>
        findDamaged(objects, segments),
      );
      return reopened === 0 && stores.completion.finishBatch(batchId);
    },

    async readRecords(batchId: string, column: 'output_file_id' | 'error_file_id'): Promise<OutputRecord[]> {
      const [file] = await stores.database.rows<{ id: string | null; workspaceId: string }>(
        `select ${column} as id, workspace_id as "workspaceId" from batches where id = $1`,
        [batchId],
      );
      if (!file!.id) return [];
      let text = '';
      const segments = await files.listSegments(file!.workspaceId, file!.id);
      for await (const part of readSegments(objects, segments)) text += String(part);
      return text
        .trim()
        .split('\n')
        .map((each) => JSON.parse(each) as OutputRecord);
    },

    async close() {
      await stores.close();
      await objects.close();
      await rm(root, { recursive: true });
    },
  };
}

async function* toStream(text: string) {
  yield Buffer.from(text);
}

/** An embeddings line. @param body fields besides the input text */
export const embeddingLine = (at: number, body: object = {}) =>
  JSON.stringify({
    custom_id: `row-${at}`,
    method: 'POST',
    url: '/v1/embeddings',
    body: { model: 'sandbox/embeddings', input: `text ${at}`, ...body },
  });
