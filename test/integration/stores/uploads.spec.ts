/** Uploads in parts: each ends once, and each part becomes a segment of the file or is abandoned. */
import { createId } from '@millrace/contracts';
import { Conflict, InvalidInput, NotFound, OverLimit, PartLineCounter, numberPartLines } from '#domain';
import { createStoresFixture, type StoresFixture } from './stores-fixture.ts';

let fixture: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  fixture = await createStoresFixture();
});
afterAll(() => fixture?.close());
beforeEach(async () => {
  workspaceId = await fixture.createWorkspace();
});

const limits = { parts: 100, bytes: 1e9 };

async function createUpload(bytes: number, expiresInS = 60): Promise<string> {
  const id = createId('upload');
  const upload = { id, filename: 'a.jsonl', mimeType: 'application/jsonl', purpose: 'batch' as const, bytes };
  await fixture.uploads.create(workspaceId, { ...upload, expiresAfterS: null, expiresInS });
  return id;
}

function buildPart(uploadId: string, text: string) {
  const counter = new PartLineCounter();
  counter.add(Buffer.from(text));
  const id = createId('part');
  return { id, key: `${workspaceId}/uploads/${uploadId}/${id}`, lineCounts: counter.end() };
}

async function addPart(uploadId: string, text: string, partLimits = limits): Promise<string> {
  return (await fixture.uploads.addPart(workspaceId, uploadId, buildPart(uploadId, text), partLimits)).id;
}

async function complete(uploadId: string, partIds: readonly string[]) {
  const begun = await fixture.uploadCompletion.begin(workspaceId, uploadId, partIds);
  // Another call has completed the upload already.
  if (!begun) return fixture.uploads.get(workspaceId, uploadId);
  return fixture.uploadCompletion.complete(workspaceId, uploadId, partIds, {
    id: createId('file'),
    purpose: 'batch',
    filename: 'a.jsonl',
    expiresInS: null,
    bytes: begun.parts.reduce((sum, { bytes }) => sum + bytes, 0),
    placed: numberPartLines(begun.parts),
  });
}

const listAbandoned = async (uploadId: string) =>
  (await fixture.uploads.listAbandonedParts(1_000))
    .filter(({ key }) => key.includes(uploadId))
    .map(({ id }) => id);

const expireAgo = (uploadId: string, interval: string) =>
  fixture.database.rows(`update uploads set expires_at = now() - $2::interval where id = $1`, [
    uploadId,
    interval,
  ]);

test('the parts, in the requested order, become the segments of a file with a line index', async () => {
  const long = 'x\n'.repeat(3_000);
  const texts = ['{"a"', `:1}\n${long}`, 'no line starts here', `${long}last`];
  const upload = await createUpload(texts.join('').length);
  const ids: string[] = [];
  for (const text of texts.toReversed()) ids.unshift(await addPart(upload, text));
  const stray = await addPart(upload, 'another');
  const { file } = await complete(upload, ids);
  expect(file).toMatchObject({ bytes: texts.join('').length, lines: 6_002, status: 'processed' });

  const segments = await fixture.files.listSegments(workspaceId, file!.id);
  expect(segments.map(({ key }) => key.split('/').at(-1))).toEqual(ids);
  expect(segments.map(({ lines }) => lines)).toEqual([0, 3_001, 0, 3_001]);
  const index = await fixture.files.getLineIndex(workspaceId, file!.id);
  const at = texts[0]!.length + 4;
  expect(index.map(({ line, offset }) => [line, offset])).toEqual([
    [1, at],
    [3_002, at + long.length + texts[2]!.length + 2],
  ]);
  expect(index.every(({ entries }) => entries.length > 0)).toBe(true);
  // Only the part that the file does not use is abandoned.
  expect(await listAbandoned(upload)).toEqual([stray]);
});

test('completing it again with the same parts returns the same file; other parts and a cancellation are refused', async () => {
  const upload = await createUpload(4);
  const ids = [await addPart(upload, 'a\n'), await addPart(upload, 'b\n')];
  const first = await complete(upload, ids);
  expect(await fixture.uploadCompletion.begin(workspaceId, upload, ids)).toBeNull();
  expect(await fixture.uploads.get(workspaceId, upload)).toEqual(first);
  const others = fixture.uploadCompletion.begin(workspaceId, upload, ids.toReversed());
  await expect(others).rejects.toMatchObject({ code: 'upload_completed', status: 409 });
  await expect(fixture.uploads.cancel(workspaceId, upload)).rejects.toBeInstanceOf(Conflict);
  await expect(addPart(upload, 'c')).rejects.toMatchObject({ code: 'upload_completed' });
  await fixture.files.delete(workspaceId, first.file!.id);
  expect(await fixture.uploads.get(workspaceId, upload)).toMatchObject({ file: null });
});

test('two concurrent completions create one file, and both return it', async () => {
  const upload = await createUpload(2);
  const ids = [await addPart(upload, 'a\n')];
  const both = await Promise.all([complete(upload, ids), complete(upload, ids)]);
  expect(both[0].file!.id).toBe(both[1].file!.id);
  const files = await fixture.files.list(workspaceId, { limit: 10, order: 'asc' });
  expect(files).toHaveLength(1);
});

test('a cancellation during a completion wins', async () => {
  const upload = await createUpload(2);
  const ids = [await addPart(upload, 'a\n')];
  await fixture.uploadCompletion.begin(workspaceId, upload, ids);
  await fixture.uploads.cancel(workspaceId, upload);
  await expect(complete(upload, ids)).rejects.toMatchObject({ code: 'upload_cancelled' });
  expect(await fixture.files.list(workspaceId, { limit: 10, order: 'asc' })).toEqual([]);
  expect(await listAbandoned(upload)).toEqual(ids);
  await fixture.uploads.deleteParts(ids);
  expect(await listAbandoned(upload)).toEqual([]);
});

test('parts that are unknown, of another upload, or listed twice are refused', async () => {
  const [upload, other] = [await createUpload(2), await createUpload(2)];
  const [own, foreign] = [await addPart(upload, 'a'), await addPart(other, 'b')];
  const begin = (...ids: string[]) => fixture.uploadCompletion.begin(workspaceId, upload, ids);
  await expect(begin(own, createId('part'))).rejects.toMatchObject({ code: 'part_not_found' });
  await expect(begin(foreign)).rejects.toMatchObject({ code: 'part_not_found', param: 'part_ids' });
  await expect(begin(own, own)).rejects.toMatchObject({ code: 'duplicate_part' });
  await expect(begin(own, '../x')).rejects.toBeInstanceOf(InvalidInput);
});

test('concurrent parts do not exceed the limits of parts and bytes', async () => {
  const upload = await createUpload(10);
  const smallLimits = { parts: 3, bytes: 100 };
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => addPart(upload, 'ab', smallLimits)),
  );
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  await expect(addPart(upload, 'ab', smallLimits)).rejects.toMatchObject({
    code: 'too_many_parts',
    status: 413,
  });
  const larger = addPart(upload, 'x'.repeat(95), { parts: 9, bytes: 100 });
  await expect(larger).rejects.toMatchObject({ code: 'too_many_bytes' });
  await expect(larger).rejects.toBeInstanceOf(OverLimit);
});

test('an overdue upload has expired, both before and after the clean-up', async () => {
  const upload = await createUpload(1);
  const id = await addPart(upload, 'a');
  await expireAgo(upload, '1 second');
  expect(await fixture.uploads.get(workspaceId, upload)).toMatchObject({ upload: { status: 'expired' } });
  const refused = { code: 'upload_expired', status: 409 };
  await expect(addPart(upload, 'b')).rejects.toMatchObject(refused);
  await expect(fixture.uploads.getPending(workspaceId, upload)).rejects.toMatchObject(refused);
  await expect(fixture.uploadCompletion.begin(workspaceId, upload, [id])).rejects.toMatchObject(refused);
  await expect(fixture.uploads.cancel(workspaceId, upload)).rejects.toMatchObject(refused);
  expect(await listAbandoned(upload)).toEqual([id]);
  expect(await fixture.uploads.get(workspaceId, upload)).toMatchObject({ upload: { status: 'expired' } });
});

test('an upload does not expire during a completion, unless the completion fails or takes too long', async () => {
  const upload = await createUpload(1);
  const ids = [await addPart(upload, 'a')];
  await fixture.uploadCompletion.begin(workspaceId, upload, ids);
  await expireAgo(upload, '1 second');
  expect(await listAbandoned(upload)).toEqual([]);
  await fixture.uploadCompletion.cancel(upload);
  expect(await listAbandoned(upload)).toEqual(ids);

  const dead = await createUpload(1);
  const [part] = [await addPart(dead, 'a')];
  await fixture.uploadCompletion.begin(workspaceId, dead, [part]);
  await fixture.database.rows(
    `update uploads set completing_at = now() - interval '2 hours', expires_at = now() where id = $1`,
    [dead],
  );
  expect(await listAbandoned(dead)).toEqual([part]);
});

test('another workspace cannot read or change it', async () => {
  const upload = await createUpload(1);
  const id = await addPart(upload, 'a');
  const otherWorkspace = await fixture.createWorkspace();
  for (const call of [
    () => fixture.uploads.get(otherWorkspace, upload),
    () => fixture.uploads.getPending(otherWorkspace, upload),
    () => fixture.uploads.cancel(otherWorkspace, upload),
    () => fixture.uploadCompletion.begin(otherWorkspace, upload, [id]),
    () => fixture.uploads.addPart(otherWorkspace, upload, buildPart(upload, 'b'), limits),
  ]) {
    await expect(call()).rejects.toBeInstanceOf(NotFound);
  }
});
