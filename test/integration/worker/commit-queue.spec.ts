/** A slot is for lines that run: what they came to is stored while the next chunk has it. */
import type { ObjectStore } from '#storage';
import { CommitQueue } from '../../../apps/worker/src/batches/chunks/commit-queue.ts';
import { waitUntil } from '../../support/platform.ts';
import { embeddingLine, openWorkerHarness, type WorkerHarness } from './worker-harness.ts';

let mill: WorkerHarness;
beforeAll(async () => {
  mill = await openWorkerHarness();
});
afterAll(() => mill?.close());

/** A store that keeps what it is given only when told to. */
function slowStore(objects: ObjectStore, end: ObjectStore['put'] = (...given) => objects.put(...given)) {
  const waiting: (() => void)[] = [];
  const put: ObjectStore['put'] = async (...given) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return end(...given);
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

const dispatched = async (count: number) => {
  const lines = Array.from({ length: 50 * count }, (_, at) => embeddingLine(at + 1)).join('\n');
  const batchId = await mill.planned(lines);
  return { batchId, deliveries: await mill.house.chunks.dispatch(8, count, 8) };
};

test('a chunk whose lines have run gives its slot up, and shows as done when it is kept', async () => {
  const { batchId, deliveries } = await dispatched(2);
  const { slow, waiting } = slowStore(mill.objects);
  const commitQueue = new CommitQueue(2);
  // Each returns, and with that its slot, though nothing is stored yet.
  for (const delivery of deliveries) await mill.run(delivery, { commitQueue, objects: slow });
  expect(waiting).toHaveLength(2);
  expect(await mill.house.row(batchId)).toMatchObject({ status: 'in_progress', chunksDone: 0 });
  waiting.forEach((goOn) => goOn());
  await commitQueue.drain();
  expect(await mill.house.row(batchId)).toMatchObject({ status: 'completed', chunksDone: 2, completed: 100 });
});

test('no more are stored at once than there is room for: the next keeps its slot', async () => {
  const { batchId, deliveries } = await dispatched(2);
  const { slow, waiting } = slowStore(mill.objects);
  const commitQueue = new CommitQueue(1);
  await mill.run(deliveries[0]!, { commitQueue, objects: slow });
  let hasReturned = false;
  const second = mill.run(deliveries[1]!, { commitQueue, objects: slow }).then(() => (hasReturned = true));
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect([hasReturned, waiting.length]).toEqual([false, 1]);
  waiting[0]!();
  await second;
  expect(waiting).toHaveLength(2);
  waiting[1]!();
  await commitQueue.drain();
  expect(await mill.house.row(batchId)).toMatchObject({ status: 'completed', chunksDone: 2 });
});

test('a store that fails hands the chunk back, though its slot is long another’s', async () => {
  const { batchId, deliveries } = await dispatched(1);
  const { slow, waiting } = slowStore(mill.objects, () => Promise.reject(new Error('no room')));
  await mill.run(deliveries[0]!, { commitQueue: new CommitQueue(1), objects: slow });
  waiting[0]!();
  await waitUntil(async () => (await mill.house.attempts(batchId))[0]?.outcome === 'failed', {
    what: 'the chunk to be handed back',
    withinMs: 10_000,
  });
  expect(await mill.house.row(batchId)).toMatchObject({ status: 'in_progress', chunksDone: 0 });
});

test('a worker that leaves does not wait for a store that hangs', async () => {
  const { deliveries } = await dispatched(1);
  const { slow } = slowStore(mill.objects);
  const commitQueue = new CommitQueue(1);
  await mill.run(deliveries[0]!, { commitQueue, objects: slow });
  await commitQueue.drain();
  expect(commitQueue.signal.aborted).toBe(true);
});
