/** The composing of outputs on a real S3 server: what a reader sees, what a crash leaves, checked by listing the objects. */
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
  const options = (over: Partial<ComposeOptions> = {}, how: Compose = compose): ComposeOptions => ({
    compositions,
    objects: { compose: how, delete: (keys) => objects.delete(keys) },
    graceS: 3_600,
    log,
    ...over,
  });

  /** A batch of many chunks that has ended, its records in the bucket. */
  async function ended() {
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
  type Ended = Awaited<ReturnType<typeof ended>>;

  const segments = ({ workspaceId, fileId }: Ended) => fixture.files.listSegments(workspaceId, fileId);
  const content = async (of: Ended) => String(await buffer(readSegments(objects, await segments(of))));
  async function results({ workspaceId, batchId }: Ended): Promise<string> {
    let text = '';
    for await (const page of fixture.results.listSegments(workspaceId, batchId, 5, 30))
      text += String(await buffer(readSegments(objects, page)));
    return text;
  }
  const keysOf = async ({ batchId }: Ended) =>
    (await bucket.listKeys()).filter((key) => key.includes(batchId));
  async function swept(): Promise<void> {
    const keys = await fixture.checkpoints.listRetiredObjects(10_000);
    await objects.delete(keys);
    await fixture.checkpoints.deleteRetiredObjects(keys);
  }
  const garbage = () =>
    collectGarbage({
      garbage: new GarbageCollectionStore(fixture.database),
      objects,
      ageS: -60,
      everyS: 0,
      log,
    });

  test('one object in place of many, the same to every reader, also to one who has begun before', async () => {
    const of = await ended();
    const [before, inResults] = [await content(of), await results(of)];
    const old = await segments(of);
    expect(old).toHaveLength(chunkCount);
    const begun = readSegments(objects, old);
    const first = (await begun[Symbol.asyncIterator]().next()).value as Buffer;

    expect(await composeNextFile(options())).toBe(true);
    expect(await composeNextFile(options())).toBe(false);
    const [one, ...more] = await segments(of);
    expect([more, one!.bytes, one!.lines]).toEqual([[], before.length, 392]);
    expect(await content(of)).toBe(before);
    expect(await results(of)).toBe(inResults);
    expect(String(await buffer(readSegments(objects, await segments(of), { start: 700, end: 2_000 })))).toBe(
      before.slice(700, 2_001),
    );
    // The error file has four segments only, and is left as it is.
    const errors: string[] = [];
    for await (const chunk of fixture.results.listFailedChunks(of.workspaceId, of.batchId))
      errors.push(String(await buffer(readSegments(objects, [chunk.errors]))));
    expect(errors).toEqual([3, 13, 23, 33].map((index) => `error of chunk ${index}\n`.repeat(2)));
    // A reader of the old list comes to its end: nothing was deleted yet, nor does the garbage's collection.
    await swept();
    await garbage();
    expect(String(first) + String(await buffer(begun))).toBe(before);
    await fixture.database.rows('update retired_objects set due_at = now()');
    await swept();
    expect(await keysOf(of)).toHaveLength(1 + 4);
    expect(await content(of)).toBe(before);
    await garbage();
    expect(await keysOf(of)).toHaveLength(1 + 4);
  });

  test('a crash after the composing: the next one begins anew, and the garbage’s collection has the first', async () => {
    const of = await ended();
    const before = await content(of);
    const died = async (...args: Parameters<Compose>) => {
      await compose(...args);
      throw new Error('dies');
    };
    await expect(composeNextFile(options({}, died))).rejects.toThrow('dies');
    expect(await segments(of)).toHaveLength(chunkCount);
    expect(await keysOf(of)).toHaveLength(chunkCount + 4 + 1);
    expect(await composeNextFile(options({ graceS: 0 }))).toBe(true);
    // A crash after the swap: the old objects are known, and go.
    expect(await keysOf(of)).toHaveLength(chunkCount + 4 + 2);
    await swept();
    await garbage();
    expect(await keysOf(of)).toHaveLength(1 + 4);
    expect(await content(of)).toBe(before);
    expect(await bucket.listUnfinishedUploads()).toEqual([]);
  });

  test('the file is deleted meanwhile: nothing of it is left', async () => {
    const of = await ended();
    const deleted = async (...args: Parameters<Compose>) => {
      const made = await compose(...args);
      await fixture.files.delete(of.workspaceId, of.fileId);
      return made;
    };
    expect(await composeNextFile(options({}, deleted))).toBe(true);
    expect(await composeNextFile(options())).toBe(false);
    expect((await keysOf(of)).filter((key) => key.includes('composed'))).toEqual([]);
    // And one that is deleted after it takes its old segments with it, grace or not.
    const after = await ended();
    await composeNextFile(options());
    await fixture.files.delete(after.workspaceId, after.fileId);
    await swept();
    expect((await keysOf(after)).filter((key) => key.includes('-1.output'))).toEqual([]);
  });

  test('two at once: one object is the file’s, the other is gone', async () => {
    const of = await ended();
    const before = await content(of);
    let waiting = 0;
    let go!: () => void;
    const both = new Promise<void>((resolve) => (go = resolve));
    const together = async (...args: Parameters<Compose>) => {
      const made = await compose(...args);
      if (++waiting === 2) go();
      await both;
      return made;
    };
    await Promise.all([composeNextFile(options({}, together)), composeNextFile(options({}, together))]);
    expect((await keysOf(of)).filter((key) => key.includes('composed'))).toHaveLength(1);
    expect(await content(of)).toBe(before);
  });

  test('a segment that is gone: the file waits, the others have their turn', async () => {
    const of = await ended();
    const [first] = await segments(of);
    await bucket.minioClient.removeObject(bucket.bucket, first!.key);
    expect(await composeNextFile(options())).toBe(true);
    expect(await composeNextFile(options())).toBe(false);
    expect(await segments(of)).toHaveLength(chunkCount);
    const other = await ended();
    await composeNextFile(options());
    expect(await segments(other)).toHaveLength(1);
    expect(await bucket.listUnfinishedUploads()).toEqual([]);
  });
}

if (server === null) {
  test('NOT RUN: the composing of outputs (no S3 server is named)', () => expect(findS3Server()).toBeNull());
} else {
  onS3(server);
}
