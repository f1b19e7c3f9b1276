/**
 * The parts of an upload become a file: as they are, its segments, without a byte being read; or, where they are
 * gzip or an md5 is to be checked, after one pass through them.
 *
 * That pass takes a minute and more for ten gigabytes, longer than some proxies wait. So it belongs to no request:
 * a client that was cut off and asks again finds the one that runs and waits on, or is told how it ended.
 */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { newId, type CompleteUploadBody } from '#contracts';
import type { UploadPartRow, UploadRow, UploadStore, UploadWithFile } from '#database';
import { Conflict, countLines, InvalidInput, LineCounter, placeParts, Unavailable } from '#domain';
import { readSegments, type ObjectStore } from '#storage';
import { expiresInS } from '../files/store-lines.ts';
import { expand, isCompressed } from '../files/upload-bytes.ts';
import { plainName } from '../files/upload-file.ts';

export interface CompleteUploadOptions {
  readonly uploads: UploadStore;
  readonly store: ObjectStore;
  /** Of the file, expanded if compressed. */
  readonly maxBytes: number;
}

interface Pass {
  readonly asked: string;
  readonly end: Promise<UploadWithFile>;
}

export class CompleteUpload {
  private readonly running = new Map<string, Pass>();

  constructor(private readonly on: CompleteUploadOptions) {}

  /** @throws NotFound, Conflict, InvalidInput, OverLimit; the upload is as it was then, and may be completed again. */
  run(workspaceId: string, id: string, body: CompleteUploadBody): Promise<UploadWithFile> {
    const asked = JSON.stringify([workspaceId, body]);
    const running = this.running.get(id);
    if (running?.asked === asked) return running.end;
    if (running) {
      throw new Conflict('This upload is being completed in another way. Ask again once that has ended.', {
        code: 'upload_completing',
      });
    }
    const end = complete(workspaceId, id, body, this.on).finally(() => this.running.delete(id));
    end.catch(() => undefined); // Told to whoever still waits.
    this.running.set(id, { asked, end });
    return end;
  }
}

async function complete(
  workspaceId: string,
  id: string,
  { part_ids, md5 }: CompleteUploadBody,
  on: CompleteUploadOptions,
): Promise<UploadWithFile> {
  const begun = await on.uploads.beginCompletion(workspaceId, id, part_ids);
  if (!begun) return on.uploads.get(workspaceId, id);
  const { upload, parts } = begun;
  try {
    assertBytes(upload, parts);
    if (isCompressed(upload.filename)) return await completeExpanded(upload, parts, part_ids, md5, on);
    if (md5) await assertMd5(parts, md5, on);
    return await on.uploads.complete(workspaceId, id, part_ids, {
      ...fileOf(upload),
      bytes: upload.bytes,
      placed: placeParts(parts),
    });
  } catch (error) {
    await on.uploads.dropCompletion(id).catch(() => undefined);
    throw error;
  }
}

const fileOf = ({ purpose, filename, expiresAfterS }: UploadRow) => ({
  id: newId('file'),
  purpose,
  filename: plainName(filename),
  expiresInS: expiresInS(purpose, expiresAfterS),
});

function assertBytes(upload: UploadRow, parts: readonly UploadPartRow[]): void {
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  if (bytes === upload.bytes) return;
  throw new InvalidInput(
    `These parts have ${bytes} bytes together; the upload was created with ${upload.bytes}. Name all of them, ` +
      'or create an upload of the size that the file has.',
    { code: 'bytes_mismatch', param: 'part_ids' },
  );
}

const segmentsOf = (parts: readonly UploadPartRow[]) =>
  parts.map(({ objectKey: key, bytes, lines }) => ({ key, bytes, lines }));

async function assertMd5(
  parts: readonly UploadPartRow[],
  md5: string,
  { store }: CompleteUploadOptions,
): Promise<void> {
  const hash = createHash('md5');
  for await (const chunk of readSegments(store, segmentsOf(parts)) as AsyncIterable<Buffer>)
    hash.update(chunk);
  assertSame(hash.digest('hex'), md5);
}

function assertSame(found: string, md5: string): void {
  if (found === md5.toLowerCase()) return;
  throw new InvalidInput(`The md5 of these parts in this order is ${found}, another than the one given.`, {
    code: 'md5_mismatch',
    param: 'md5',
  });
}

async function* hashed(source: Readable, hash: Hash | null): AsyncGenerator<Buffer> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    hash?.update(chunk);
    yield chunk;
  }
}

/** A part of a gzip file is none: only the whole can be expanded, and has lines. */
async function completeExpanded(
  upload: UploadRow,
  parts: readonly UploadPartRow[],
  partIds: readonly string[],
  md5: string | null | undefined,
  { uploads, store, maxBytes }: CompleteUploadOptions,
): Promise<UploadWithFile> {
  const { workspaceId } = upload;
  const file = fileOf(upload);
  const key = `${workspaceId}/files/${file.id}.jsonl`;
  const counter = new LineCounter();
  const hash = createHash('md5');
  const sent = hashed(readSegments(store, segmentsOf(parts)), md5 ? hash : null);
  let isStored = false;
  try {
    await store.put(key, countLines(expand(Readable.from(sent, { objectMode: false }), maxBytes), counter));
    isStored = true;
    if (md5) assertSame(hash.digest('hex'), md5);
    const lineIndex = counter.end();
    const segments = [{ key, bytes: counter.bytes, lines: counter.lines, lineIndex }];
    const completed = await uploads.complete(workspaceId, upload.id, partIds, { ...file, segments });
    // Another process may have been asked the same, and come first.
    if (completed.upload.fileId !== file.id) await store.delete([key]).catch(() => undefined);
    return completed;
  } catch (error) {
    if (isStored && !(error instanceof Unavailable)) await store.delete([key]).catch(() => undefined);
    throw error;
  }
}
