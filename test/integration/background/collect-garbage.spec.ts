/** Garbage collection on disk storage, checked by listing the objects: those that no row refers to are deleted, all others stay. */
import { mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { createId } from '@millrace/contracts';
import { GarbageCollectionStore } from '#database';
import { PartLineCounter } from '#domain';
import { createDiskStorage, type ObjectStorage } from '#storage';
import {
  collectGarbage,
  type GarbageOptions,
} from '../../../apps/api/src/background/maintenance/collect-garbage.ts';
import { createStoresFixture, buildChunkResult, type StoresFixture } from '../stores/stores-fixture.ts';

const day = 86_400;
const body = Buffer.from('{"a":1}\n');

let fixture: StoresFixture;
let root: string;
let objects: ObjectStorage;
let workspaceId: string;
beforeAll(async () => {
  fixture = await createStoresFixture();
});
afterAll(() => fixture?.close());
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-garbage-'));
  objects = await createDiskStorage({
    root,
    signing: { baseUrl: 'http://127.0.0.1:3000', secret: 'a secret of thirty-two characters or more' },
  });
  await fixture.database.rows('delete from garbage_collections');
  workspaceId = await fixture.createWorkspace();
});
afterEach(async () => {
  await objects.close();
  await rm(root, { recursive: true });
});

const options = (over: Partial<GarbageOptions> = {}): GarbageOptions => ({
  garbage: new GarbageCollectionStore(fixture.database),
  objects,
  ageS: day,
  everyS: 0,
  log: pino({ level: 'silent' }),
  ...over,
});

async function put(key: string, ageS = 2 * day): Promise<string> {
  await objects.put(key, body);
  const at = new Date(Date.now() - ageS * 1_000);
  await utimes(join(root, key), at, at);
  return key;
}

function lineCounts(bytes: Uint8Array) {
  const counter = new PartLineCounter();
  counter.add(bytes);
  return counter.end();
}

async function listKeys(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects.list('')) keys.push(key);
  return keys;
}

test('objects of superseded attempts and interrupted uploads are deleted; young objects and those of a row stay', async () => {
  const batchId = await fixture.createPlannedBatch(workspaceId, 3);
  const deliveries = (await fixture.chunkQueue.dispatch(1_000, 10_000)).filter(
    (out) => out.batchId === batchId,
  );
  const [superseded, frozen] = await Promise.all(
    deliveries.slice(0, 2).map((delivery) => fixture.chunks.claim(delivery, 'worker-a')),
  );
  const current = (await fixture.chunks.claim(deliveries[0]!, 'worker-b'))!;
  const result = buildChunkResult(current, { failed: 2 });
  await fixture.chunks.commit(current, result);
  const prefix = `${workspaceId}/batches/${batchId}`;
  const input = `${workspaceId}/files/${await fixture.createFile(workspaceId)}.jsonl`;

  const upload = createId('upload');
  const newUpload = { id: upload, filename: 'a.jsonl', mimeType: 'x', purpose: 'batch' as const, bytes: 8 };
  await fixture.uploads.create(workspaceId, { ...newUpload, expiresAfterS: null, expiresInS: 60 });
  const part = {
    id: createId('part'),
    key: `${workspaceId}/uploads/${upload}/part`,
    lineCounts: lineCounts(body),
  };
  await fixture.uploads.addPart(workspaceId, upload, part, { parts: 1, bytes: 8 });

  const kept = [
    await put(part.key),
    await put(result.output!.key),
    await put(result.errors!.key),
    await put(input),
    // An attempt that still holds its chunk may commit its objects, even after a long freeze.
    await put(`${prefix}/${frozen!.index}-${frozen!.attempt}.output.jsonl`),
    await put(`${prefix}/2-1.output.jsonl`, day - 600),
    await put(`${workspaceId}/files/file_young.jsonl`, 60),
    await put('ws_of-another-deployment/files/file_x.jsonl'),
  ];
  await put(buildChunkResult(superseded!).output!.key);
  await put(`${prefix}/${frozen!.index}-${frozen!.attempt + 1}0.output.jsonl`);
  await put(`${workspaceId}/files/file_cut-off.jsonl`);
  await put(`${workspaceId}/batches/batch_gone/0-1.output.jsonl`);

  expect(await collectGarbage(options())).toBe(4);
  expect(await listKeys()).toEqual(kept.sort());
  expect(await collectGarbage(options())).toBe(0);
});

test('the files of a finished batch stay; objects of a deleted file are left to the deletion of retired objects', async () => {
  const batchId = await fixture.createPlannedBatch(workspaceId, 1);
  const [delivery] = (await fixture.chunkQueue.dispatch(1_000, 10_000)).filter(
    (out) => out.batchId === batchId,
  );
  const chunk = (await fixture.chunks.claim(delivery!, 'worker-a'))!;
  const { output } = buildChunkResult(chunk);
  await fixture.chunks.commit(chunk, buildChunkResult(chunk));
  await fixture.completion.finishBatch(batchId);
  await put(output!.key);
  await collectGarbage(options());
  expect(await listKeys()).toEqual([output!.key]);

  const { outputFileId } = await fixture.getBatchRow(batchId);
  await fixture.files.delete(workspaceId, outputFileId!);
  await collectGarbage(options());
  // Its segments refer to the object until both are deleted as retired objects.
  expect(await listKeys()).toEqual([output!.key]);
});

test('an upload that runs during a pass loses no object, although its row is written last', async () => {
  const slow = async function* () {
    for (let part = 0; part < 20; part++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      yield body;
    }
  };
  const uploads = Array.from({ length: 5 }, async (_, at) => {
    const key = `${workspaceId}/files/file_running-${at}.jsonl`;
    await objects.put(key, slow());
    await new Promise((resolve) => setTimeout(resolve, 50));
    await fixture.createFile(workspaceId, { segments: [{ key, bytes: 20 * body.length, lines: 20 }] });
    return key;
  });
  await put(`${workspaceId}/files/file_old.jsonl`);
  let isUploading = true;
  const uploaded = Promise.all(uploads).finally(() => (isUploading = false));
  let deleted = 0;
  while (isUploading) deleted += await collectGarbage(options());
  deleted += await collectGarbage(options());
  expect(await listKeys()).toEqual((await uploaded).sort());
  expect(deleted).toBe(1);
});

test('a pass covers all workspaces in steps, and another process resumes it', async () => {
  const workspaces = [workspaceId, await fixture.createWorkspace(), await fixture.createWorkspace()];
  for (const id of workspaces) {
    for (let at = 0; at < 7; at++) await put(`${id}/files/file_${at}.jsonl`);
  }
  const checked: number[] = [];
  const garbage = new GarbageCollectionStore(fixture.database);
  const counting = Object.assign(Object.create(garbage) as GarbageCollectionStore, {
    listUnreferenced: (...[objects, ageS]: Parameters<GarbageCollectionStore['listUnreferenced']>) => {
      checked.push(objects.length);
      return garbage.listUnreferenced(objects, ageS);
    },
  });
  const deleted: number[] = [];
  // Each step could be another process: the state between two steps is in the database.
  for (let step = 0; step < 8; step++)
    deleted.push(await collectGarbage(options({ garbage: counting, step: 4, everyS: 3_600 })));
  expect(await listKeys()).toEqual([]);
  expect(deleted).toEqual([4, 7, 7, 3, 0, 0, 0, 0]);
  expect(checked).toEqual([4, 3, 4, 3, 4, 3]);
  // The pass has ended; the next one is not due.
  await put(`${workspaceId}/files/file_later.jsonl`);
  expect(await collectGarbage(options({ everyS: 3_600 }))).toBe(0);
  expect(await collectGarbage(options())).toBe(1);
});
