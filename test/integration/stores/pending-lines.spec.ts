/** The limit of pending lines per workspace, which is checked before a new batch is written. */
import { createId } from '@millrace/contracts';
import { OverLimit } from '#domain';
import { createStoresFixture, buildChunkResult, type StoresFixture } from './stores-fixture.ts';

let fixture: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  fixture = await createStoresFixture();
});
afterAll(() => fixture?.close());
beforeEach(async () => {
  workspaceId = await fixture.createWorkspace();
});

/** Creates a batch from a file of 100 lines. */
async function create(limit: number, key: string | null = null, fileId?: string): Promise<string> {
  const body = fixture.buildBatchBody(fileId ?? (await fixture.createFile(workspaceId)));
  const idempotency = key === null ? null : { key, requestHash: Buffer.from(key) };
  const input = { ...body, id: createId('batch'), kind: 'embeddings' };
  const { batch } = await fixture.batches.create(workspaceId, input, idempotency, limit);
  return batch.id;
}

const catchRefusal = (work: Promise<unknown>): Promise<OverLimit> =>
  work.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: OverLimit) => error,
  );

const count = async (table: string): Promise<number> => {
  const [row] = await fixture.database.rows<{ n: number }>(
    `select count(*) as n from ${table} where workspace_id = $1`,
    [workspaceId],
  );
  return row!.n;
};

test('batches are accepted up to the limit; beyond it they are refused with the reason, and nothing is written', async () => {
  await create(300);
  await create(300);
  await create(300);
  const error = await catchRefusal(create(300, 'a key'));
  expect(error).toBeInstanceOf(OverLimit);
  expect(error).toMatchObject({ status: 429, code: 'too_many_pending_lines', retryAfterMs: 60_000 });
  expect(error.message).toMatch(
    /^This workspace has 300 pending lines and the input file has 100; the limit is 300\./,
  );
  expect([await count('batches'), await count('idempotency_keys')]).toEqual([3, 0]);
  // Another workspace has its own limit.
  workspaceId = await fixture.createWorkspace();
  await create(300);
});

test('recorded lines no longer count, and the same idempotency key then creates the batch', async () => {
  const batchId = await fixture.createPlannedBatch(workspaceId, 20);
  expect((await catchRefusal(create(299, 'later'))).status).toBe(429);
  const [queued] = await fixture.chunkQueue.dispatch(1, 1_000);
  const chunk = (await fixture.chunks.claim(queued!, 'worker-a'))!;
  expect(chunk.batchId).toBe(batchId);
  await fixture.chunks.commit(chunk, buildChunkResult(chunk, { failed: 4 }));
  await create(290, 'later');
});

test('a repeated request gets its batch, even if the limit is reached by now', async () => {
  const fileId = await fixture.createFile(workspaceId);
  const first = await create(100, 'once', fileId);
  expect(await create(100, 'once', fileId)).toBe(first);
});

test('a file that alone exceeds the limit is refused with 413', async () => {
  expect(await catchRefusal(create(99))).toMatchObject({ status: 413, code: 'too_many_lines' });
});

test('of many concurrent requests, as many are accepted as the limit allows', async () => {
  const results = await Promise.allSettled(Array.from({ length: 12 }, () => create(500)));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
});
