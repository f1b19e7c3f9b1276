/** A slot is held only while lines run. The result is stored while the slot runs the next chunk. */
import type { ObjectStorage } from '#storage';
import { CommitQueue } from '../../../apps/worker/src/batches/chunks/commit-queue.ts';
import { waitUntil } from '../../support/platform.ts';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';

let harness: WorkerHarness;
beforeAll(async () => {
  harness = await openWorkerHarness();
});
afterAll(() => harness?.close());

/** An object storage whose puts wait until the test continues them. */
function createSlowStorage(
  objects: ObjectStorage,
  finishPut: ObjectStorage['put'] = (...args) => objects.put(...args),
) {
  const waiting: (() => void)[] = [];
  const put: ObjectStorage['put'] = async (...args) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return finishPut(...args);
  };
  const slow = new Proxy(objects, {
    get: (target, name) => {
      if (name === 'put') return put;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return { slow, waiting };
}

const dispatch = async (count: number) => {
  const lines = Array.from({ length: 50 * count }, (_, at) => embeddingLine(at + 1)).join('\n');
  const batchId = await harness.createPlannedBatch(lines);
  return { batchId, queued: await harness.stores.chunkQueue.dispatch(8, count, 8) };
};

test('a chunk whose lines have run releases its slot, and is done once its result is stored', async () => {
  const { batchId, queued } = await dispatch(2);
  const { slow, waiting } = createSlowStorage(harness.objects);
  const commitQueue = new CommitQueue(2);
  // Each run returns and releases its slot, though nothing is stored yet.
  for (const chunk of queued) await harness.run(chunk, { commitQueue, objects: slow });
  expect(waiting).toHaveLength(2);
  expect(await harness.stores.getBatchRow(batchId)).toMatchObject({ status: 'in_progress', chunksDone: 0 });
  waiting.forEach((resume) => resume());
  await commitQueue.drain();
  expect(await harness.stores.getBatchRow(batchId)).toMatchObject({
    status: 'completed',
    chunksDone: 2,
    completed: 100,
  });
});

test('when the queue is full, the next chunk keeps its slot', async () => {
  const { batchId, queued } = await dispatch(2);
  const { slow, waiting } = createSlowStorage(harness.objects);
  const commitQueue = new CommitQueue(1);
  await harness.run(queued[0]!, { commitQueue, objects: slow });
  let hasReturned = false;
  const second = harness.run(queued[1]!, { commitQueue, objects: slow }).then(() => (hasReturned = true));
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect([hasReturned, waiting.length]).toEqual([false, 1]);
  waiting[0]!();
  await second;
  expect(waiting).toHaveLength(2);
  waiting[1]!();
  await commitQueue.drain();
  expect(await harness.stores.getBatchRow(batchId)).toMatchObject({ status: 'completed', chunksDone: 2 });
});

test('when storing fails, the chunk is released, although its slot already runs another', async () => {
  const { batchId, queued } = await dispatch(1);
  const { slow, waiting } = createSlowStorage(harness.objects, () => Promise.reject(new Error('no room')));
  await harness.run(queued[0]!, { commitQueue: new CommitQueue(1), objects: slow });
  waiting[0]!();
  await waitUntil(async () => (await harness.stores.listAttempts(batchId))[0]?.outcome === 'failed', {
    what: 'the chunk to be released',
    withinMs: 10_000,
  });
  expect(await harness.stores.getBatchRow(batchId)).toMatchObject({ status: 'in_progress', chunksDone: 0 });
});

test('a stopping worker does not wait for a storage that hangs', async () => {
  const { queued } = await dispatch(1);
  const { slow } = createSlowStorage(harness.objects);
  const commitQueue = new CommitQueue(1);
  await harness.run(queued[0]!, { commitQueue, objects: slow });
  await commitQueue.drain();
  expect(commitQueue.signal.aborted).toBe(true);
});
