/** Composing of outputs on a real S3 server: what readers get, and what a crash leaves, checked by listing the objects. */
import { buffer } from 'node:stream/consumers';
import pino from 'pino';
import { CompositionStore, GarbageCollectionStore } from '#database';
import { readSegments, type ObjectStorage } from '#storage';
import { collectGarbage } from '../../../apps/api/src/background/maintenance/collect-garbage.ts';
import { composeNextFile, type ComposeOptions } from '../../../apps/api/src/batches/compose-outputs.ts';
import {
  createBucket,
  findS3Server,
  openS3Storage,
  type S3Server,
  type TestBucket,
} from '../../support/s3.ts';
import { createStoresFixture, buildChunkResult, type StoresFixture } from '../stores/stores-fixture.ts';

const server = findS3Server();
const log = pino({ level: 'silent' });
const chunkCount = 40;

function onS3(deps: S3Server): void {
  let fixture: StoresFixture;
  let bucket: TestBucket;
  let objects: ObjectStorage;
  let compositions: CompositionStore;
  beforeAll(async () => {
    fixture = await createStoresFixture();
    bucket = await createBucket(deps);
    objects = await openS3Storage(bucket);
    compositions = new CompositionStore(fixture.database);
  });
  afterAll(async () => {
    await objects?.close();
    await bucket?.remove();
    await fixture?.close();
  });

  type Compose = ComposeOptions['objects']['compose'];
  const compose: Compose = (...args) => objects.compose!(...args);
  const options = (
    over: Partial<ComposeOptions> = {},
    composeObjects: Compose = compose,
  ): ComposeOptions => ({
    compositions,
    objects: { compose: composeObjects, delete: (keys) => objects.delete(keys) },
    graceS: 3_600,
    log,
    ...over,
  });

  /** Creates a batch of many chunks that has ended, with its records in the bucket. */
  async function createEndedBatch() {
    const workspaceId = await fixture.createWorkspace();
    const batchId = await fixture.createPlannedBatch(workspaceId, chunkCount);
    const deliveries = (await fixture.chunkQueue.dispatch(1_000, 10_000)).filter(
      (out) => out.batchId === batchId,
    );
    for (const delivery of deliveries.reverse()) {
      const chunk = (await fixture.chunks.claim(delivery, 'w'))!;
      const text = (which: string, lines: number) => `${which} of chunk ${chunk.index}\n`.repeat(lines);
      const { output, errors, ...sums } = buildChunkResult(chunk, { failed: chunk.index % 10 === 3 ? 2 : 0 });
      await fixture.chunks.commit(chunk, {
        ...sums,
        output:
          output && (await objects.put(`${output.key}.jsonl`, Buffer.from(text('record', sums.completed)))),
        errors: errors && (await objects.put(`${errors.key}.jsonl`, Buffer.from(text('error', sums.failed)))),
      });
    }
    expect(await fixture.completion.finishBatch(batchId)).toBe(true);
    const row = await fixture.getBatchRow(batchId);
    return { workspaceId, batchId, fileId: row.outputFileId!, errorFileId: row.errorFileId! };
  }
  type EndedBatch = Awaited<ReturnType<typeof createEndedBatch>>;

  const listSegments = ({ workspaceId, fileId }: EndedBatch) =>
    fixture.files.listSegments(workspaceId, fileId);
  const readContent = async (batch: EndedBatch) =>
    String(await buffer(readSegments(objects, await listSegments(batch))));
  async function readResults({ workspaceId, batchId }: EndedBatch): Promise<string> {
    let text = '';
    for await (const page of fixture.results.listSegments(workspaceId, batchId, 5, 30))
      text += String(await buffer(readSegments(objects, page)));
    return text;
  }
  const listKeys = async ({ batchId }: EndedBatch) =>
    (await bucket.listKeys()).filter((key) => key.includes(batchId));
  async function deleteRetired(): Promise<void> {
    const keys = await fixture.checkpoints.listRetiredObjects(10_000);
    await objects.delete(keys);
    await fixture.checkpoints.deleteRetiredObjects(keys);
  }
  const runGarbageCollection = () =>
    collectGarbage({
      garbage: new GarbageCollectionStore(fixture.database),
      objects,
      ageS: -60,
      everyS: 0,
      log,
    });

  test('one object replaces many; every reader gets the same content, also one that started before', async () => {
    const batch = await createEndedBatch();
    const [before, inResults] = [await readContent(batch), await readResults(batch)];
    const old = await listSegments(batch);
    expect(old).toHaveLength(chunkCount);
    const startedReader = readSegments(objects, old);
    const first = (await startedReader[Symbol.asyncIterator]().next()).value as Buffer;

    expect(await composeNextFile(options())).toBe(true);
    expect(await composeNextFile(options())).toBe(false);
    const [composed, ...others] = await listSegments(batch);
    expect([others, composed!.bytes, composed!.lines]).toEqual([[], before.length, 392]);
    expect(await readContent(batch)).toBe(before);
    expect(await readResults(batch)).toBe(inResults);
    expect(
      String(await buffer(readSegments(objects, await listSegments(batch), { start: 700, end: 2_000 }))),
    ).toBe(before.slice(700, 2_001));
    // The error file has only four segments and is not composed.
    const errors: string[] = [];
    for await (const chunk of fixture.results.listFailedChunks(batch.workspaceId, batch.batchId))
      errors.push(String(await buffer(readSegments(objects, [chunk.errors]))));
    expect(errors).toEqual([3, 13, 23, 33].map((index) => `error of chunk ${index}\n`.repeat(2)));
    // A reader of the old list can finish: neither the deletion of retired objects nor garbage collection has deleted any.
    await deleteRetired();
    await runGarbageCollection();
    expect(String(first) + String(await buffer(startedReader))).toBe(before);
    await fixture.database.rows('update retired_objects set due_at = now()');
    await deleteRetired();
    expect(await listKeys(batch)).toHaveLength(1 + 4);
    expect(await readContent(batch)).toBe(before);
    await runGarbageCollection();
    expect(await listKeys(batch)).toHaveLength(1 + 4);
  });

  test('after a crash between composing and replacing, the next run composes again, and garbage collection deletes the first object', async () => {
    const batch = await createEndedBatch();
    const before = await readContent(batch);
    const composeAndCrash = async (...args: Parameters<Compose>) => {
      await compose(...args);
      throw new Error('crash');
    };
    await expect(composeNextFile(options({}, composeAndCrash))).rejects.toThrow('crash');
    expect(await listSegments(batch)).toHaveLength(chunkCount);
    expect(await listKeys(batch)).toHaveLength(chunkCount + 4 + 1);
    expect(await composeNextFile(options({ graceS: 0 }))).toBe(true);
    // After a crash between replacing and deleting, the old objects are recorded as retired and are deleted.
    expect(await listKeys(batch)).toHaveLength(chunkCount + 4 + 2);
    await deleteRetired();
    await runGarbageCollection();
    expect(await listKeys(batch)).toHaveLength(1 + 4);
    expect(await readContent(batch)).toBe(before);
    expect(await bucket.listUnfinishedUploads()).toEqual([]);
  });

  test('a file that is deleted while it is composed leaves no object', async () => {
    const batch = await createEndedBatch();
    const composeAndDelete = async (...args: Parameters<Compose>) => {
      const composed = await compose(...args);
      await fixture.files.delete(batch.workspaceId, batch.fileId);
      return composed;
    };
    expect(await composeNextFile(options({}, composeAndDelete))).toBe(true);
    expect(await composeNextFile(options())).toBe(false);
    expect((await listKeys(batch)).filter((key) => key.includes('composed'))).toEqual([]);
    // A file that is deleted after it was composed deletes its old segments too, without the grace period.
    const later = await createEndedBatch();
    await composeNextFile(options());
    await fixture.files.delete(later.workspaceId, later.fileId);
    await deleteRetired();
    expect((await listKeys(later)).filter((key) => key.includes('-1.output'))).toEqual([]);
  });

  test('of two concurrent compositions one is used, and the object of the other is deleted', async () => {
    const batch = await createEndedBatch();
    const before = await readContent(batch);
    let waiting = 0;
    let release!: () => void;
    const both = new Promise<void>((resolve) => (release = resolve));
    const composeTogether = async (...args: Parameters<Compose>) => {
      const composed = await compose(...args);
      if (++waiting === 2) release();
      await both;
      return composed;
    };
    await Promise.all([
      composeNextFile(options({}, composeTogether)),
      composeNextFile(options({}, composeTogether)),
    ]);
    expect((await listKeys(batch)).filter((key) => key.includes('composed'))).toHaveLength(1);
    expect(await readContent(batch)).toBe(before);
  });

  test('a file with a missing segment is deferred, and other files are composed', async () => {
    const batch = await createEndedBatch();
    const [first] = await listSegments(batch);
    await bucket.minioClient.removeObject(bucket.bucket, first!.key);
    expect(await composeNextFile(options())).toBe(true);
    expect(await composeNextFile(options())).toBe(false);
    expect(await listSegments(batch)).toHaveLength(chunkCount);
    const other = await createEndedBatch();
    await composeNextFile(options());
    expect(await listSegments(other)).toHaveLength(1);
    expect(await bucket.listUnfinishedUploads()).toEqual([]);
  });
}

if (server === null) {
  test('NOT RUN: composing of outputs (no S3 server is configured)', () => expect(findS3Server()).toBeNull());
} else {
  onS3(server);
}
