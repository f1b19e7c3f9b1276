/** Files: their workspace's alone, gone when deleted or expired, their objects forgotten only once they may be. */
import { Conflict, NotFound } from '#domain';
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

const keysOf = async (fileId: string) =>
  (await house.files.listAbandonedSegments(1_000))
    .filter((segment) => segment.fileId === fileId)
    .map(({ key }) => key);

test('bytes and lines are the sums of its segments, read in their order', async () => {
  const segments = [3, 1, 2].map((at) => ({
    key: `k/${at}`,
    bytes: at * 10,
    lines: at,
    lineIndex: Buffer.from([at]),
  }));
  const id = await house.file(workspaceId, { segments });
  expect(await house.files.get(workspaceId, id)).toMatchObject({ bytes: 60, lines: 6, status: 'processed' });
  expect((await house.files.listSegments(workspaceId, id)).map(({ key }) => key)).toEqual([
    'k/3',
    'k/1',
    'k/2',
  ]);
  expect((await house.files.getLineIndex(workspaceId, id))[0]).toEqual({
    line: 0,
    offset: 0,
    entries: Buffer.from([3]),
  });
});

test('sizes beyond 32 bits are numbers', async () => {
  const id = await house.file(workspaceId, { segments: [{ key: 'k', bytes: 2 ** 40, lines: 2 ** 33 }] });
  expect(await house.files.get(workspaceId, id)).toMatchObject({ bytes: 2 ** 40, lines: 2 ** 33 });
});

test('another workspace sees nothing of it', async () => {
  const id = await house.file(workspaceId);
  const stranger = await house.workspace();
  await expect(house.files.get(stranger, id)).rejects.toBeInstanceOf(NotFound);
  await expect(house.files.delete(stranger, id)).rejects.toBeInstanceOf(NotFound);
  expect(await house.files.listSegments(stranger, id)).toEqual([]);
  expect(await house.files.getLineIndex(stranger, id)).toEqual([]);
  expect(await house.files.list(stranger, { limit: 10, order: 'asc' })).toEqual([]);
});

test('deleted, it is gone at once, and its objects are to be forgotten', async () => {
  const id = await house.file(workspaceId);
  expect(await keysOf(id)).toEqual([]);
  await house.files.delete(workspaceId, id);
  await expect(house.files.get(workspaceId, id)).rejects.toBeInstanceOf(NotFound);
  await expect(house.files.delete(workspaceId, id)).rejects.toBeInstanceOf(NotFound);
  expect(await house.files.list(workspaceId, { limit: 10, order: 'asc' })).toEqual([]);
  const keys = await keysOf(id);
  expect(keys).toHaveLength(1);
  await house.files.deleteSegments(keys);
  expect(await keysOf(id)).toEqual([]);
});

test('of two who delete it one does', async () => {
  const id = await house.file(workspaceId);
  const both = await Promise.allSettled([
    house.files.delete(workspaceId, id),
    house.files.delete(workspaceId, id),
  ]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('expired, it is gone for its owner, in the list too', async () => {
  const id = await house.file(workspaceId, { expiresInS: -1 });
  const fresh = await house.file(workspaceId, { expiresInS: 60 });
  await expect(house.files.get(workspaceId, id)).rejects.toBeInstanceOf(NotFound);
  const listed = await house.files.list(workspaceId, { limit: 10, order: 'asc' });
  expect(listed.map((file) => file.id)).toEqual([fresh]);
  expect(await keysOf(id)).toHaveLength(1);
});

test('while a batch reads it, it is neither deleted nor forgotten', async () => {
  const batchId = await house.planned(workspaceId, 1);
  const [row] = await house.database.rows<{ id: string }>(
    'select input_file_id as id from batches where id = $1',
    [batchId],
  );
  const { id } = row!;
  await expect(house.files.delete(workspaceId, id)).rejects.toBeInstanceOf(Conflict);
  await house.database.rows(`update files set expires_at = now() - interval '1 second' where id = $1`, [id]);
  expect(await keysOf(id)).toEqual([]);
  const [delivery] = (await house.chunks.dispatch(8, 100)).filter((each) => each.batchId === batchId);
  const chunk = (await house.chunks.claim(delivery!, 'worker-a'))!;
  await house.chunks.commit(chunk, buildChunkResult(chunk));
  await house.chunks.finishBatch(batchId);
  expect(await keysOf(id)).toHaveLength(1);
});
