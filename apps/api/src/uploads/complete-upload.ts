/**
 * The parts of an upload become a file: as they are, its segments, without a byte being read; or, where they are
 * gzip or an md5 is to be checked, after one pass through them.
 *
 * That pass takes a minute and more for ten gigabytes, longer than some proxies wait. So it belongs to no request:
 * a client that was cut off and asks again finds the one that runs and waits on, or is told how it ended.
 */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { newId, type CompleteUploadBody } from '@millrace/contracts';
import type { UploadPartRow, UploadRow, UploadStore, UploadWithFile } from '#database';
import { Conflict, countLines, InvalidInput, LineCounter, numberPartLines, Unavailable } from '#domain';
import { readSegments, type ObjectStore } from '#storage';
import { fileLifetimeS } from '../files/store-lines.ts';
import { gunzip, isCompressed } from '../files/read-upload.ts';
import { expandedFilename } from '../files/upload-file.ts';

export interface CompleteUploadOptions {
  readonly uploads: UploadStore;
  readonly objects: ObjectStore;
  /** Of the file, expanded if compressed. */
  readonly maxBytes: number;
}

interface RunningCompletion {
  readonly request: string;
  readonly result: Promise<UploadWithFile>;
}

export class CompleteUpload {
  private readonly running = new Map<string, RunningCompletion>();

  constructor(private readonly deps: CompleteUploadOptions) {}

  /** @throws NotFound, Conflict, InvalidInput, OverLimit; the upload is as it was then, and may be completed again. */
  run(workspaceId: string, id: string, body: CompleteUploadBody): Promise<UploadWithFile> {
    const request = JSON.stringify([workspaceId, body]);
    const running = this.running.get(id);
    if (running?.request === request) return running.result;
    if (running) {
      throw new Conflict('This upload is being completed in another way. Ask again once that has ended.', {
        code: 'upload_completing',
      });
    }
    const result = complete(workspaceId, id, body, this.deps).finally(() => this.running.delete(id));
    result.catch(() => undefined); // Told to whoever still waits.
    this.running.set(id, { request, result });
    return result;
  }
}

async function complete(
  workspaceId: string,
  id: string,
  { part_ids, md5 }: CompleteUploadBody,
  deps: CompleteUploadOptions,
): Promise<UploadWithFile> {
  const begun = await deps.uploads.beginCompletion(workspaceId, id, part_ids);
  if (!begun) return deps.uploads.get(workspaceId, id);
  const { upload, parts } = begun;
  try {
    assertBytes(upload, parts);
    if (isCompressed(upload.filename)) return await completeExpanded(upload, parts, part_ids, md5, deps);
    if (md5) await assertMd5(parts, md5, deps);
    return await deps.uploads.complete(workspaceId, id, part_ids, {
      ...buildNewFile(upload),
      bytes: upload.bytes,
      placed: numberPartLines(parts),
    });
  } catch (error) {
    await deps.uploads.cancelCompletion(id).catch(() => undefined);
    throw error;
  }
}

const buildNewFile = ({ purpose, filename, expiresAfterS }: UploadRow) => ({
  id: newId('file'),
  purpose,
  filename: expandedFilename(filename),
  expiresInS: fileLifetimeS(purpose, expiresAfterS),
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

const toSegments = (parts: readonly UploadPartRow[]) =>
  parts.map(({ objectKey: key, bytes, lines }) => ({ key, bytes, lines }));

async function assertMd5(
  parts: readonly UploadPartRow[],
  md5: string,
  { objects }: CompleteUploadOptions,
): Promise<void> {
  const hash = createHash('md5');
  for await (const chunk of readSegments(objects, toSegments(parts)) as AsyncIterable<Buffer>)
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
  { uploads, objects, maxBytes }: CompleteUploadOptions,
): Promise<UploadWithFile> {
  const { workspaceId } = upload;
  const file = buildNewFile(upload);
  const key = `${workspaceId}/files/${file.id}.jsonl`;
  const counter = new LineCounter();
  const hash = createHash('md5');
  const sent = hashed(readSegments(objects, toSegments(parts)), md5 ? hash : null);
  let isStored = false;
  try {
    await objects.put(key, countLines(gunzip(Readable.from(sent, { objectMode: false }), maxBytes), counter));
    isStored = true;
    if (md5) assertSame(hash.digest('hex'), md5);
    const lineIndex = counter.end();
    const segments = [{ key, bytes: counter.bytes, lines: counter.lines, lineIndex }];
    const completed = await uploads.complete(workspaceId, upload.id, partIds, { ...file, segments });
    // Another process may have been asked the same, and come first.
    if (completed.upload.fileId !== file.id) await objects.delete([key]).catch(() => undefined);
    return completed;
  } catch (error) {
    if (isStored && !(error instanceof Unavailable)) await objects.delete([key]).catch(() => undefined);
    throw error;
  }
}
