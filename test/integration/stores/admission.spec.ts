/** How much may wait for a workspace: judged before anything of a new batch is written. */
import { newId } from '@millrace/contracts';
import { OverLimit } from '#domain';
import { createStoresFixture, buildChunkResult, type StoresFixture } from './stores-fixture.ts';

let house: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  house = await createStoresFixture();
});
afterAll(() => house?.close());
beforeEach(async () => {
  workspaceId = await house.workspace();
});

/** Of a file of 100 lines. */
async function create(bound: number, key: string | null = null, fileId?: string): Promise<string> {
  const body = house.body(fileId ?? (await house.file(workspaceId)));
  const idempotency = key === null ? null : { key, requestHash: Buffer.from(key) };
  const input = { ...body, id: newId('batch'), kind: 'embeddings' };
  const { batch } = await house.batches.create(workspaceId, input, idempotency, bound);
  return batch.id;
}

const refused = (work: Promise<unknown>): Promise<OverLimit> =>
  work.then(
    () => Promise.reject(new Error('it was taken')),
    (error: OverLimit) => error,
  );

const count = async (table: string): Promise<number> => {
  const [row] = await house.database.rows<{ n: number }>(
    `select count(*) as n from ${table} where workspace_id = $1`,
    [workspaceId],
  );
  return row!.n;
};

test('up to the bound batches are taken, beyond it refused with the reason, and nothing is written', async () => {
  await create(300);
  await create(300);
  await create(300);
  const error = await refused(create(300, 'a key'));
  expect(error).toBeInstanceOf(OverLimit);
  expect(error).toMatchObject({ status: 429, code: 'too_many_pending_lines', retryAfterMs: 60_000 });
  expect(error.message).toMatch(/^300 lines .* this file has 100; together they may be 300\./);
  expect([await count('batches'), await count('idempotency_keys')]).toEqual([3, 0]);
  // Another workspace has room of its own.
  workspaceId = await house.workspace();
  await create(300);
});

test('lines that are recorded no longer count, and the same key then makes the batch', async () => {
  const batchId = await house.planned(workspaceId, 20);
  expect((await refused(create(299, 'later'))).status).toBe(429);
  const [delivery] = await house.chunks.dispatch(1, 1_000);
  const chunk = (await house.chunks.claim(delivery!, 'worker-a'))!;
  expect(chunk.batchId).toBe(batchId);
  await house.chunks.commit(chunk, buildChunkResult(chunk, { failed: 4 }));
  await create(290, 'later');
});

test('who repeats a request that was taken gets its batch, whatever waits by now', async () => {
  const fileId = await house.file(workspaceId);
  const first = await create(100, 'once', fileId);
  expect(await create(100, 'once', fileId)).toBe(first);
});

test('a file that is over the bound alone is told to be split', async () => {
  expect(await refused(create(99))).toMatchObject({ status: 413, code: 'too_many_lines' });
});

test('of many at once as many are taken as there is room for', async () => {
  const tried = await Promise.allSettled(Array.from({ length: 12 }, () => create(500)));
  expect(tried.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
});
