/** Uploads in parts: pending until their one end, their parts a file's or garbage, never both. */
import { newId } from '@millrace/contracts';
import { Conflict, InvalidInput, NotFound, OverLimit, PartLineCounter, numberPartLines } from '#domain';
import { createStoresFixture, type StoresFixture } from './stores-fixture.ts';

let house: StoresFixture;
let workspaceId: string;
beforeAll(async () => {
  house = await createStoresFixture();
});
afterAll(() => house?.close());
beforeEach(async () => {
  workspaceId = await house.workspace();
});

const limits = { parts: 100, bytes: 1e9 };

async function created(bytes: number, expiresInS = 60): Promise<string> {
  const id = newId('upload');
  const upload = { id, filename: 'a.jsonl', mimeType: 'application/jsonl', purpose: 'batch' as const, bytes };
  await house.uploads.create(workspaceId, { ...upload, expiresAfterS: null, expiresInS });
  return id;
}

function partOf(uploadId: string, text: string) {
  const counter = new PartLineCounter();
  counter.add(Buffer.from(text));
  const id = newId('part');
  return { id, key: `${workspaceId}/uploads/${uploadId}/${id}`, lineCounts: counter.end() };
}

async function add(uploadId: string, text: string, over = limits): Promise<string> {
  return (await house.uploads.addPart(workspaceId, uploadId, partOf(uploadId, text), over)).id;
}

async function complete(uploadId: string, partIds: readonly string[]) {
  const begun = await house.uploads.beginCompletion(workspaceId, uploadId, partIds);
  // Another was quicker, and all of it is done.
  if (!begun) return house.uploads.get(workspaceId, uploadId);
  return house.uploads.complete(workspaceId, uploadId, partIds, {
    id: newId('file'),
    purpose: 'batch',
    filename: 'a.jsonl',
    expiresInS: null,
    bytes: begun.parts.reduce((sum, { bytes }) => sum + bytes, 0),
    placed: numberPartLines(begun.parts),
  });
}

const abandonedOf = async (uploadId: string) =>
  (await house.uploads.listAbandonedParts(1_000))
    .filter(({ key }) => key.includes(uploadId))
    .map(({ id }) => id);

const age = (uploadId: string, interval: string) =>
  house.database.rows(`update uploads set expires_at = now() - $2::interval where id = $1`, [
    uploadId,
    interval,
  ]);

test('its parts, in the order asked for, are the segments of a file that knows its lines', async () => {
  const long = 'x\n'.repeat(3_000);
  const texts = ['{"a"', `:1}\n${long}`, 'no line begins here', `${long}last`];
  const upload = await created(texts.join('').length);
  const ids: string[] = [];
  for (const text of texts.toReversed()) ids.unshift(await add(upload, text));
  const stray = await add(upload, 'another');
  const { file } = await complete(upload, ids);
  expect(file).toMatchObject({ bytes: texts.join('').length, lines: 6_002, status: 'processed' });

  const segments = await house.files.listSegments(workspaceId, file!.id);
  expect(segments.map(({ key }) => key.split('/').at(-1))).toEqual(ids);
  expect(segments.map(({ lines }) => lines)).toEqual([0, 3_001, 0, 3_001]);
  const index = await house.files.getLineIndex(workspaceId, file!.id);
  const at = texts[0]!.length + 4;
  expect(index.map(({ line, offset }) => [line, offset])).toEqual([
    [1, at],
    [3_002, at + long.length + texts[2]!.length + 2],
  ]);
  expect(index.every(({ entries }) => entries.length > 0)).toBe(true);
  // What no file took over is garbage now; what it did is none.
  expect(await abandonedOf(upload)).toEqual([stray]);
});

test('completed again with the same parts it answers the same; with others, or cancelled, not', async () => {
  const upload = await created(4);
  const ids = [await add(upload, 'a\n'), await add(upload, 'b\n')];
  const first = await complete(upload, ids);
  expect(await house.uploads.beginCompletion(workspaceId, upload, ids)).toBeNull();
  expect(await house.uploads.get(workspaceId, upload)).toEqual(first);
  const others = house.uploads.beginCompletion(workspaceId, upload, ids.toReversed());
  await expect(others).rejects.toMatchObject({ code: 'upload_completed', status: 409 });
  await expect(house.uploads.cancel(workspaceId, upload)).rejects.toBeInstanceOf(Conflict);
  await expect(add(upload, 'c')).rejects.toMatchObject({ code: 'upload_completed' });
  await house.files.delete(workspaceId, first.file!.id);
  expect(await house.uploads.get(workspaceId, upload)).toMatchObject({ file: null });
});

test('of two that complete it at once one makes the file, and both are told of it', async () => {
  const upload = await created(2);
  const ids = [await add(upload, 'a\n')];
  const both = await Promise.all([complete(upload, ids), complete(upload, ids)]);
  expect(both[0].file!.id).toBe(both[1].file!.id);
  const files = await house.files.list(workspaceId, { limit: 10, order: 'asc' });
  expect(files).toHaveLength(1);
});

test('a cancel that comes while it is completed wins', async () => {
  const upload = await created(2);
  const ids = [await add(upload, 'a\n')];
  await house.uploads.beginCompletion(workspaceId, upload, ids);
  await house.uploads.cancel(workspaceId, upload);
  await expect(complete(upload, ids)).rejects.toMatchObject({ code: 'upload_cancelled' });
  expect(await house.files.list(workspaceId, { limit: 10, order: 'asc' })).toEqual([]);
  expect(await abandonedOf(upload)).toEqual(ids);
  await house.uploads.deleteParts(ids);
  expect(await abandonedOf(upload)).toEqual([]);
});

test('parts that are unknown, another upload’s or named twice', async () => {
  const [upload, other] = [await created(2), await created(2)];
  const [own, foreign] = [await add(upload, 'a'), await add(other, 'b')];
  const begin = (...ids: string[]) => house.uploads.beginCompletion(workspaceId, upload, ids);
  await expect(begin(own, newId('part'))).rejects.toMatchObject({ code: 'part_not_found' });
  await expect(begin(foreign)).rejects.toMatchObject({ code: 'part_not_found', param: 'part_ids' });
  await expect(begin(own, own)).rejects.toMatchObject({ code: 'duplicate_part' });
  await expect(begin(own, '../x')).rejects.toBeInstanceOf(InvalidInput);
});

test('no more parts and bytes than it may have, however many come at once', async () => {
  const upload = await created(10);
  const few = { parts: 3, bytes: 100 };
  const sent = await Promise.allSettled(Array.from({ length: 8 }, () => add(upload, 'ab', few)));
  expect(sent.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  await expect(add(upload, 'ab', few)).rejects.toMatchObject({ code: 'too_many_parts', status: 413 });
  const larger = add(upload, 'x'.repeat(95), { parts: 9, bytes: 100 });
  await expect(larger).rejects.toMatchObject({ code: 'too_many_bytes' });
  await expect(larger).rejects.toBeInstanceOf(OverLimit);
});

test('past its hour it has expired, before the sweep as after it', async () => {
  const upload = await created(1);
  const id = await add(upload, 'a');
  await age(upload, '1 second');
  expect(await house.uploads.get(workspaceId, upload)).toMatchObject({ upload: { status: 'expired' } });
  const refused = { code: 'upload_expired', status: 409 };
  await expect(add(upload, 'b')).rejects.toMatchObject(refused);
  await expect(house.uploads.getPending(workspaceId, upload)).rejects.toMatchObject(refused);
  await expect(house.uploads.beginCompletion(workspaceId, upload, [id])).rejects.toMatchObject(refused);
  await expect(house.uploads.cancel(workspaceId, upload)).rejects.toMatchObject(refused);
  expect(await abandonedOf(upload)).toEqual([id]);
  expect(await house.uploads.get(workspaceId, upload)).toMatchObject({ upload: { status: 'expired' } });
});

test('one that is being completed does not expire under it, unless nothing comes of it', async () => {
  const upload = await created(1);
  const ids = [await add(upload, 'a')];
  await house.uploads.beginCompletion(workspaceId, upload, ids);
  await age(upload, '1 second');
  expect(await abandonedOf(upload)).toEqual([]);
  await house.uploads.cancelCompletion(upload);
  expect(await abandonedOf(upload)).toEqual(ids);

  const dead = await created(1);
  const [part] = [await add(dead, 'a')];
  await house.uploads.beginCompletion(workspaceId, dead, [part]);
  await house.database.rows(
    `update uploads set completing_at = now() - interval '2 hours', expires_at = now() where id = $1`,
    [dead],
  );
  expect(await abandonedOf(dead)).toEqual([part]);
});

test('another workspace sees nothing of it', async () => {
  const upload = await created(1);
  const id = await add(upload, 'a');
  const stranger = await house.workspace();
  for (const call of [
    () => house.uploads.get(stranger, upload),
    () => house.uploads.getPending(stranger, upload),
    () => house.uploads.cancel(stranger, upload),
    () => house.uploads.beginCompletion(stranger, upload, [id]),
    () => house.uploads.addPart(stranger, upload, partOf(upload, 'b'), limits),
  ]) {
    await expect(call()).rejects.toBeInstanceOf(NotFound);
  }
});
