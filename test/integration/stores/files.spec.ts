/** Files: visible to their workspace until they are deleted or expire; their objects are abandoned only after that. */
import { Conflict, NotFound } from '#domain';
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

const listAbandonedKeys = async (fileId: string) =>
  (await fixture.files.listAbandonedSegments(1_000))
    .filter((segment) => segment.fileId === fileId)
    .map(({ key }) => key);

test('bytes and lines are the sums of the segments, which are listed in order', async () => {
  const segments = [3, 1, 2].map((at) => ({
    key: `k/${at}`,
    bytes: at * 10,
    lines: at,
    lineIndex: Buffer.from([at]),
  }));
  const id = await fixture.createFile(workspaceId, { segments });
  expect(await fixture.files.get(workspaceId, id)).toMatchObject({
    bytes: 60,
    lines: 6,
    status: 'processed',
  });
  expect((await fixture.files.listSegments(workspaceId, id)).map(({ key }) => key)).toEqual([
    'k/3',
    'k/1',
    'k/2',
  ]);
  expect((await fixture.files.getLineIndex(workspaceId, id))[0]).toEqual({
    line: 0,
    offset: 0,
    entries: Buffer.from([3]),
  });
});

test('sizes beyond 32 bits are numbers', async () => {
  const id = await fixture.createFile(workspaceId, {
    segments: [{ key: 'k', bytes: 2 ** 40, lines: 2 ** 33 }],
  });
  expect(await fixture.files.get(workspaceId, id)).toMatchObject({ bytes: 2 ** 40, lines: 2 ** 33 });
});

test('another workspace cannot read it', async () => {
  const id = await fixture.createFile(workspaceId);
  const otherWorkspace = await fixture.createWorkspace();
  await expect(fixture.files.get(otherWorkspace, id)).rejects.toBeInstanceOf(NotFound);
  await expect(fixture.files.delete(otherWorkspace, id)).rejects.toBeInstanceOf(NotFound);
  expect(await fixture.files.listSegments(otherWorkspace, id)).toEqual([]);
  expect(await fixture.files.getLineIndex(otherWorkspace, id)).toEqual([]);
  expect(await fixture.files.list(otherWorkspace, { limit: 10, order: 'asc' })).toEqual([]);
});

test('a deleted file is not found, and its segments are abandoned', async () => {
  const id = await fixture.createFile(workspaceId);
  expect(await listAbandonedKeys(id)).toEqual([]);
  await fixture.files.delete(workspaceId, id);
  await expect(fixture.files.get(workspaceId, id)).rejects.toBeInstanceOf(NotFound);
  await expect(fixture.files.delete(workspaceId, id)).rejects.toBeInstanceOf(NotFound);
  expect(await fixture.files.list(workspaceId, { limit: 10, order: 'asc' })).toEqual([]);
  const keys = await listAbandonedKeys(id);
  expect(keys).toHaveLength(1);
  await fixture.files.deleteSegments(keys);
  expect(await listAbandonedKeys(id)).toEqual([]);
});

test('of two concurrent deletions, one succeeds', async () => {
  const id = await fixture.createFile(workspaceId);
  const both = await Promise.allSettled([
    fixture.files.delete(workspaceId, id),
    fixture.files.delete(workspaceId, id),
  ]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('an expired file is not found, and not listed', async () => {
  const id = await fixture.createFile(workspaceId, { expiresInS: -1 });
  const fresh = await fixture.createFile(workspaceId, { expiresInS: 60 });
  await expect(fixture.files.get(workspaceId, id)).rejects.toBeInstanceOf(NotFound);
  const listed = await fixture.files.list(workspaceId, { limit: 10, order: 'asc' });
  expect(listed.map((file) => file.id)).toEqual([fresh]);
  expect(await listAbandonedKeys(id)).toHaveLength(1);
});

test('a file that a batch reads cannot be deleted, and its segments are not abandoned', async () => {
  const batchId = await fixture.createPlannedBatch(workspaceId, 1);
  const [row] = await fixture.database.rows<{ id: string }>(
    'select input_file_id as id from batches where id = $1',
    [batchId],
  );
  const { id } = row!;
  await expect(fixture.files.delete(workspaceId, id)).rejects.toBeInstanceOf(Conflict);
  await fixture.database.rows(`update files set expires_at = now() - interval '1 second' where id = $1`, [
    id,
  ]);
  expect(await listAbandonedKeys(id)).toEqual([]);
  const [queued] = (await fixture.chunkQueue.dispatch(8, 100)).filter((each) => each.batchId === batchId);
  const chunk = (await fixture.chunks.claim(queued!, 'worker-a'))!;
  await fixture.chunks.commit(chunk, buildChunkResult(chunk));
  await fixture.completion.finishBatch(batchId);
  expect(await listAbandonedKeys(id)).toHaveLength(1);
});
