/** The dispatcher: the queue holds only what workers start next, and workspaces share a lane by lines. */
import { createId } from '@millrace/contracts';
import type { QueuedChunk } from '#database';
import {
  buildAcceptedPlan,
  buildIdleState,
  createStoresFixture,
  buildPlan,
  buildChunkResult,
  type StoresFixture,
} from './stores-fixture.ts';

let fixture: StoresFixture;
let a: string;
let b: string;
beforeAll(async () => {
  fixture = await createStoresFixture();
});
afterAll(() => fixture?.close());
beforeEach(async () => {
  queue = [];
  await fixture.database.rows(`update batches set status = 'failed' where status <> 'failed'`);
  await fixture.database.rows('delete from fair_queue_tags');
  await fixture.database.rows('delete from workers');
  [a, b] = [await fixture.createWorkspace(), await fixture.createWorkspace()];
});

const addWorker = (slots: number, pools = ['remote']) => {
  const id = createId('worker');
  return fixture.workers
    .recordHeartbeat({ id, pools, slots, host: 'here', pid: 1, version: '' }, buildIdleState())
    .then(() => id);
};

const dispatch = (minWaiting = 1) => fixture.chunkQueue.dispatch(1_000, 1_000, minWaiting);

/** Creates a batch whose chunks have `lines` lines each. */
async function createBatch(
  workspaceId: string,
  chunks: number,
  lines = 4_000,
  { expiresInS = 86_400, pool = 'remote' } = {},
): Promise<string> {
  const batchId = await fixture.createBatch(workspaceId);
  const plan = (await fixture.plans.claim(batchId, 1))!;
  const planned = buildPlan(chunks).map((chunk, at) => ({ ...chunk, lines, firstLine: at * lines + 1 }));
  await fixture.plans.addChunks(plan, planned);
  await fixture.plans.accept(plan, { ...buildAcceptedPlan(chunks), total: chunks * lines, pool });
  await fixture.database.rows(
    'update batches set expires_at = created_at + make_interval(secs => $2) where id = $1',
    [batchId, expiresInS],
  );
  return batchId;
}

/** Runs a chunk. @returns false if the chunk was taken out of the queue: its job finds nothing to claim. */
async function run(queued: QueuedChunk): Promise<boolean> {
  const chunk = await fixture.chunks.claim(queued, 'worker-a');
  if (chunk) await fixture.chunks.commit(chunk, buildChunkResult(chunk));
  return chunk !== null;
}

/** The queue of a test's only slot. */
let queue: QueuedChunk[];

/** Runs chunks in one slot, first in, first out. @returns the chunks in the order in which they ran. */
async function runInOrder(count: number): Promise<QueuedChunk[]> {
  const ran: QueuedChunk[] = [];
  while (ran.length < count) {
    queue.push(...(await dispatch()));
    const next = queue.shift();
    if (!next) break;
    if (await run(next)) ran.push(next);
  }
  return ran;
}

describe('the room of a lane', () => {
  test('is one running and one waiting chunk for each slot of its live workers', async () => {
    await createBatch(a, 40);
    expect(await dispatch()).toHaveLength(1);
    const id = await addWorker(3);
    expect(await dispatch()).toHaveLength(5);
    expect(await dispatch()).toEqual([]);
    await addWorker(2, ['local', 'remote']);
    await addWorker(50, ['gpu']);
    expect(await dispatch()).toHaveLength(4);
    // A worker that does not consume, or sends no heartbeat, does not count; queued chunks stay queued.
    await fixture.database.rows('update workers set consuming = false where id = $1', [id]);
    expect(await dispatch()).toEqual([]);
    await fixture.database.rows(
      `update workers set consuming = true, seen_at = now() - interval '11 s' where id = $1`,
      [id],
    );
    expect(await dispatch()).toEqual([]);
    await addWorker(3);
    expect(await dispatch()).toEqual([]);
    await addWorker(1);
    expect(await dispatch()).toHaveLength(2);
  });

  test('excludes chunks that a worker is storing: a worker runs no more chunks than it has slots', async () => {
    await createBatch(a, 40);
    const id = await addWorker(1);
    const queued = await dispatch();
    expect(queued).toHaveLength(2);
    for (const each of queued) expect(await fixture.chunks.claim(each, id)).not.toBeNull();
    // One of the two is being stored: the slot runs the other, and the third waits for it.
    const [third] = await dispatch();
    expect(third).toBeDefined();
    expect(await dispatch()).toEqual([]);
    expect(await fixture.chunks.claim(third!, id)).not.toBeNull();
    expect(await dispatch()).toHaveLength(1);
    expect(await dispatch()).toEqual([]);
  });

  test('is counted per lane', async () => {
    await addWorker(2, ['remote']);
    await addWorker(1, ['gpu']);
    await createBatch(a, 40);
    await createBatch(a, 40, 10, { pool: 'gpu' });
    const lanes = (await dispatch()).map(({ lane }) => lane).sort();
    const [gpu, remote] = ['gpu_sandbox', 'remote_sandbox'];
    expect(lanes).toEqual([gpu, gpu, remote, remote, remote, remote]);
  });

  // A dispatcher that started before another's commit does not see its chunks: the room may be exceeded once by a few chunks.
  test('concurrent dispatchers queue no chunk twice, and then stop', async () => {
    await addWorker(4);
    await Promise.all([a, b].flatMap((id) => [createBatch(id, 20), createBatch(id, 20)]));
    const rounds = await Promise.all(Array.from({ length: 8 }, () => dispatch()));
    const out = [...rounds.flat(), ...(await dispatch())];
    expect(out.length).toBeGreaterThanOrEqual(8);
    expect(new Set(out.map(({ batchId, chunk }) => `${batchId} ${chunk}`)).size).toBe(out.length);
    expect(await dispatch()).toEqual([]);
  });
});

describe('fair queueing', () => {
  test('a new workspace waits only for running chunks, even if another has many queued', async () => {
    await addWorker(1);
    const large = await createBatch(a, 250);
    const first = await runInOrder(10);
    expect(first).toHaveLength(10);
    const small = await Promise.all(
      Array.from({ length: 10 }, async () => createBatch(await fixture.createWorkspace(), 1, 200)),
    );
    // The waiting chunk of the large batch leaves the queue again: the small ones have smaller tags.
    const ran = await runInOrder(12);
    expect(
      ran
        .slice(0, 10)
        .map(({ batchId }) => batchId)
        .sort(),
    ).toEqual(small.sort());
    expect(ran.slice(10).map(({ batchId }) => batchId)).toEqual([large, large]);
    expect((await fixture.getBatchRow(large)).chunksDone).toBe(12);
  });

  test('a queued chunk leaves the queue only for one that ranks before it, and gets the next generation', async () => {
    await addWorker(2);
    const large = await createBatch(a, 20);
    const queued = await dispatch();
    expect(queued).toHaveLength(4);
    const running = [
      await fixture.chunks.claim(queued[0]!, 'w'),
      await fixture.chunks.claim(queued[1]!, 'w'),
    ];
    expect(running.map((chunk) => chunk?.index)).toEqual([0, 1]);
    const small = await createBatch(b, 1, 200);
    expect(await dispatch()).toMatchObject([{ batchId: small, chunk: 0 }]);
    // The later of the two waiting chunks leaves the queue; another dispatch changes nothing.
    expect(await fixture.chunks.claim(queued[3]!, 'w')).toBeNull();
    expect(await dispatch()).toEqual([]);
    await fixture.chunks.commit(running[0]!, buildChunkResult(running[0]!));
    const [again] = await dispatch();
    expect(again).toMatchObject({ batchId: large, chunk: 3, generation: queued[3]!.generation + 1 });
    expect(await fixture.chunks.claim(queued[3]!, 'w')).toBeNull();
    expect(await fixture.chunks.claim(again!, 'w')).toMatchObject({ index: 3, attempt: 1 });
  });

  test('a workspace with small batches gets as many lines as one with large batches', async () => {
    await addWorker(1);
    const large = await createBatch(a, 50, 1_000);
    await Promise.all(Array.from({ length: 60 }, () => createBatch(b, 1, 100)));
    const ran = await runInOrder(45);
    const ofLarge = ran.filter(({ batchId }) => batchId === large).length;
    // 100 lines cost 125 and 1,000 lines cost 1,025: about eight small chunks run per large one.
    expect([4, 5, 6]).toContain(ofLarge);
  });

  test('two workspaces that always have work alternate', async () => {
    await addWorker(1);
    const batches = [await createBatch(a, 40), await createBatch(b, 40)];
    const ran = (await runInOrder(20)).map(({ batchId }) => batches.indexOf(batchId));
    expect(ran.filter((which) => which === 0)).toHaveLength(10);
    // Never three of the same in a row; two are possible, because the first dispatch fills the queue.
    expect(ran.join('')).not.toMatch(/000|111/);
  });

  test('idle time earns no credit: a workspace that was idle starts at the virtual time', async () => {
    await addWorker(1);
    await createBatch(b, 1);
    await runInOrder(1);
    const busy = await createBatch(a, 60);
    await runInOrder(20);
    await createBatch(b, 20);
    const ran = (await runInOrder(10)).filter(({ batchId }) => batchId === busy);
    expect(ran.length).toBeGreaterThanOrEqual(5);
  });

  test('tags behind the virtual time are deleted, and the virtual time is kept', async () => {
    await addWorker(1);
    await Promise.all(
      Array.from({ length: 20 }, async () => createBatch(await fixture.createWorkspace(), 1, 10)),
    );
    await runInOrder(20);
    await createBatch(a, 5);
    await runInOrder(5);
    const kept = await fixture.database.rows<{ id: string }>(
      'select workspace_id as id from fair_queue_tags order by start_tag',
    );
    expect(kept.map(({ id }) => id)).toEqual([a]);
  });
});

test('in a workspace the highest priority goes first, also if it changes while chunks are queued', async () => {
  await addWorker(1);
  const background = await createBatch(a, 3, 10, { expiresInS: 3_600 });
  await fixture.batchControl.setPriority(a, background, -10);
  const normal = await createBatch(a, 2, 10);
  const ran = await runInOrder(3);
  expect(ran.map(({ batchId }) => batchId)).toEqual([normal, normal, background]);

  const late = await createBatch(a, 2, 10);
  await fixture.batchControl.setPriority(a, late, -20);
  expect((await runInOrder(1))[0]?.batchId).toBe(background);
  await fixture.batchControl.setPriority(a, late, 0);
  expect((await runInOrder(3)).map(({ batchId }) => batchId)).toEqual([late, late, background]);
});

test('in a workspace the earliest deadline goes first, then the oldest', async () => {
  await addWorker(1);
  const first = await createBatch(a, 2, 10);
  const second = await createBatch(a, 2, 10);
  const urgent = await createBatch(a, 2, 10, { expiresInS: 3_600 });
  const ran = (await runInOrder(6)).map(({ batchId }) => batchId);
  expect(ran).toEqual([urgent, urgent, first, first, second, second]);
});
