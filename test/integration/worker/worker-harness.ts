/** The real planner and runner on the real stores and a disk, with the queue's part played by the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { newId } from '@millrace/contracts';
import { countLines, LineCounter, Prices } from '#domain';
import type { Bus } from '#realtime';
import type { ChunkDelivery } from '#database';
import { createProviders, type Providers } from '#providers';
import { createDiskStore, findDamaged, readSegments, type ObjectStore } from '#storage';
import { InputFiles } from '../../../apps/worker/src/batches/chunks/input-files.ts';
import { RunningWorkRegistry } from '../../../apps/worker/src/heartbeat/running-work.ts';
import { ModelRuntimes } from '../../../apps/worker/src/inference/model-runtimes.ts';
import { planBatch } from '../../../apps/worker/src/batches/planning/plan-batch.ts';
import { runChunk, type RunChunkDeps } from '../../../apps/worker/src/batches/chunks/run-chunk.ts';
import { CommitQueue } from '../../../apps/worker/src/batches/chunks/commit-queue.ts';
import { createStoresFixture } from '../stores/stores-fixture.ts';

export const silentLog = pino({ level: 'silent' });
export const never = new AbortController().signal;
const bus = { signal: () => undefined, announce: async () => true } as unknown as Bus;

export type WorkerHarness = Awaited<ReturnType<typeof openWorkerHarness>>;

export interface OutputRecord {
  readonly id: string;
  readonly custom_id: string;
  readonly response: { readonly status_code: number } | null;
  readonly error: { readonly code: string } | null;
}

/** @param providers the sandbox alone, unless others are given. */
export async function openWorkerHarness({ route }: Pick<Providers, 'route'> = createProviders()) {
  const house = await createStoresFixture();
  const root = await mkdtemp(join(tmpdir(), 'millrace-mill-'));
  const objects: ObjectStore = await createDiskStore({
    root,
    signing: { baseUrl: 'http://127.0.0.1:3000', secret: 'a secret of thirty-two characters or more' },
  });
  const { chunks, checkpoints, files, plans } = house;
  const inputFiles = new InputFiles(files);
  const runner = {
    route,
    runtimes: new ModelRuntimes(),
    runningWork: new RunningWorkRegistry(),
    workerId: 'w',
    chunks,
    checkpoints,
    inputFiles,
    objects,
    bus,
    lineMaxBytes: 1_000_000,
    prices: new Prices(),
    media: { files, objects, outbound: null as never },
  };
  const planner = {
    results: house.results,
    route,
    workerId: 'w',
    plans,
    files,
    objects,
    bus,
    lineMaxBytes: 1_000_000,
    batchMaxLines: 10_000,
  };

  /** A chunk up to its commit, and the end of its batch where it was the last. */
  const run = async (delivery: ChunkDelivery, over: Partial<RunChunkDeps> = {}) => {
    const commitQueue = new CommitQueue(1);
    await runChunk(delivery, { ...runner, commitQueue, ...over }, never, silentLog);
    if (!over.commitQueue) await commitQueue.drain();
  };

  return {
    house,
    root,
    objects,
    run,

    /** A batch that is planned by the real planner. */
    async planned(text: string, inWorkspace?: string): Promise<string> {
      const workspaceId = inWorkspace ?? (await house.workspace());
      const id = newId('file');
      const key = `${workspaceId}/files/${id}.jsonl`;
      const counter = new LineCounter();
      const { bytes } = await objects.put(key, countLines(once(text), counter));
      await house.file(workspaceId, {
        id,
        segments: [{ key, bytes, lines: counter.lines, lineIndex: counter.end() }],
      });
      const batchId = newId('batch');
      await house.batches.create(workspaceId, { ...house.body(id), id: batchId, kind: 'embeddings' }, null);
      await planBatch({ batchId, generation: 1 }, planner, never, silentLog);
      return batchId;
    },

    /** Dispatches and runs until nothing is left. @returns how many chunks were run. */
    async drain(over: Partial<RunChunkDeps> = {}): Promise<number> {
      for (let ran = 0; ;) {
        const deliveries = await chunks.dispatch(8, 100);
        if (deliveries.length === 0) return ran;
        for (const delivery of deliveries) await run(delivery, over);
        ran += deliveries.length;
      }
    },

    /** As a finisher does. */
    async finish(batchId: string): Promise<boolean> {
      const lost = await chunks.reopenDamaged(batchId, (segments) => findDamaged(objects, segments));
      return lost === 0 && chunks.finishBatch(batchId);
    },

    async records(batchId: string, which: 'output_file_id' | 'error_file_id'): Promise<OutputRecord[]> {
      const [file] = await house.database.rows<{ id: string | null; workspaceId: string }>(
        `select ${which} as id, workspace_id as "workspaceId" from batches where id = $1`,
        [batchId],
      );
      if (!file!.id) return [];
      let text = '';
      for await (const part of readSegments(objects, await files.listSegments(file!.workspaceId, file!.id)))
        text += String(part);
      return text
        .trim()
        .split('\n')
        .map((each) => JSON.parse(each) as OutputRecord);
    },

    async close() {
      await house.close();
      await objects.close();
      await rm(root, { recursive: true });
    },
  };
}

async function* once(text: string) {
  yield Buffer.from(text);
}

/** A line of embeddings; `body` beside its text. */
export const embeddingLine = (at: number, body: object = {}) =>
  JSON.stringify({
    custom_id: `row-${at}`,
    method: 'POST',
    url: '/v1/embeddings',
    body: { model: 'sandbox/embeddings', input: `text ${at}`, ...body },
  });
