/** The real planner and runner on the real stores and a disk, with the queue's part played by the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { newId } from '#contracts';
import { countLines, LineCounter, Prices } from '#domain';
import type { Bus } from '#realtime';
import type { ChunkDelivery } from '#database';
import { createProviders, type Providers } from '#providers';
import { createDiskStore, findDamaged, readSegments, type ObjectStore } from '#storage';
import { InputFiles } from '../../apps/worker/src/batches/input-files.ts';
import { InHand } from '../../apps/worker/src/in-hand.ts';
import { Devices } from '../../apps/worker/src/inference/devices.ts';
import { planBatch } from '../../apps/worker/src/batches/plan-batch.ts';
import { runChunk, type ChunkRunner } from '../../apps/worker/src/batches/run-chunk.ts';
import { Storing } from '../../apps/worker/src/batches/storing.ts';
import { openHouse } from './stores/house.ts';

export const silent = pino({ level: 'silent' });
export const never = new AbortController().signal;
const bus = { signal: () => undefined, announce: async () => true } as unknown as Bus;

export type Mill = Awaited<ReturnType<typeof openMill>>;

export interface MillRecord {
  readonly id: string;
  readonly custom_id: string;
  readonly response: { readonly status_code: number } | null;
  readonly error: { readonly code: string } | null;
}

/** @param providers the sandbox alone, unless others are given. */
export async function openMill({ route }: Pick<Providers, 'route'> = createProviders()) {
  const house = await openHouse();
  const root = await mkdtemp(join(tmpdir(), 'millrace-mill-'));
  const store: ObjectStore = await createDiskStore({
    root,
    signing: { baseUrl: 'http://127.0.0.1:3000', secret: 'a secret of thirty-two characters or more' },
  });
  const { chunks, checkpoints, files, plans } = house;
  const inputs = new InputFiles(files);
  const runner = {
    route,
    devices: new Devices(),
    inHand: new InHand(),
    workerId: 'w',
    chunks,
    checkpoints,
    inputs,
    store,
    bus,
    lineMaxBytes: 1_000_000,
    prices: new Prices(),
    media: { files, store, outbound: null as never },
  };
  const planner = {
    results: house.results,
    route,
    workerId: 'w',
    plans,
    files,
    store,
    bus,
    lineMaxBytes: 1_000_000,
    batchMaxLines: 10_000,
  };

  /** A chunk up to its commit, and the end of its batch where it was the last. */
  const run = async (delivery: ChunkDelivery, over: Partial<ChunkRunner> = {}) => {
    const storing = new Storing(1);
    await runChunk(delivery, { ...runner, storing, ...over }, never, silent);
    if (!over.storing) await storing.leave();
  };

  return {
    house,
    root,
    store,
    run,

    /** A batch that is planned by the real planner. */
    async planned(text: string, inWorkspace?: string): Promise<string> {
      const workspaceId = inWorkspace ?? (await house.workspace());
      const id = newId('file');
      const key = `${workspaceId}/files/${id}.jsonl`;
      const counter = new LineCounter();
      const { bytes } = await store.put(key, countLines(once(text), counter));
      await house.file(workspaceId, {
        id,
        segments: [{ key, bytes, lines: counter.lines, lineIndex: counter.end() }],
      });
      const batchId = newId('batch');
      await house.batches.create(workspaceId, { ...house.body(id), id: batchId, kind: 'embeddings' }, null);
      await planBatch({ batchId, delivery: 1 }, planner, never, silent);
      return batchId;
    },

    /** Dispatches and runs until nothing is left. @returns how many chunks were run. */
    async drain(over: Partial<ChunkRunner> = {}): Promise<number> {
      for (let ran = 0; ;) {
        const deliveries = await chunks.dispatch(8, 100);
        if (deliveries.length === 0) return ran;
        for (const delivery of deliveries) await run(delivery, over);
        ran += deliveries.length;
      }
    },

    /** As a finisher does. */
    async finish(batchId: string): Promise<boolean> {
      const lost = await chunks.reopenDamaged(batchId, (segments) => findDamaged(store, segments));
      return lost === 0 && chunks.finishBatch(batchId);
    },

    async records(batchId: string, which: 'output_file_id' | 'error_file_id'): Promise<MillRecord[]> {
      const [file] = await house.database.statement<{ id: string | null; workspaceId: string }>(
        `select ${which} as id, workspace_id as "workspaceId" from batches where id = $1`,
        [batchId],
      );
      if (!file!.id) return [];
      let text = '';
      for await (const part of readSegments(store, await files.segments(file!.workspaceId, file!.id)))
        text += String(part);
      return text
        .trim()
        .split('\n')
        .map((each) => JSON.parse(each) as MillRecord);
    },

    async close() {
      await house.close();
      await store.close();
      await rm(root, { recursive: true });
    },
  };
}

async function* once(text: string) {
  yield Buffer.from(text);
}

/** A line of embeddings; `body` beside its text. */
export const millLine = (at: number, body: object = {}) =>
  JSON.stringify({
    custom_id: `row-${at}`,
    method: 'POST',
    url: '/v1/embeddings',
    body: { model: 'sandbox/embeddings', input: `text ${at}`, ...body },
  });
