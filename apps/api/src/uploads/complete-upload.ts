/**
 * Completes an upload: its parts become the segments of a file. No byte is read, unless the file is gzip or an md5 is
 * to be checked; then all parts are read once.
 *
 * Reading 10 GB takes more than a minute, longer than some proxies wait. So the work does not belong to a request: a
 * client that was cut off and repeats its request waits for the running completion, or gets its result.
 */
import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createId, type CompleteUploadBody } from '@millrace/contracts';
import type { UploadPartRow, UploadRow, UploadCompletionStore, UploadStore, UploadWithFile } from '#database';
import { Conflict, countLines, InvalidInput, LineCounter, numberPartLines, Unavailable } from '#domain';
import { readSegments, type ObjectStorage } from '#storage';
import { fileLifetimeS } from '../files/store-lines.ts';
import { assertText, isGzip, signatureBytes } from '../files/file-signature.ts';
import { expandedFilename, isCompressed, isJsonLines } from '../files/filename.ts';
import { gunzip } from '../files/read-upload.ts';

/** @throws NotFound, Conflict, InvalidInput, OverLimit; then the upload is unchanged and may be completed again. */
export type CompleteUpload = (
  workspaceId: string,
  id: string,
  body: CompleteUploadBody,
) => Promise<UploadWithFile>;
export const COMPLETE_UPLOAD = Symbol('complete upload');

export interface CompleteUploadDeps {
  readonly uploads: UploadStore;
  readonly completions: UploadCompletionStore;
  readonly objects: ObjectStorage;
  /** Of the file, expanded if compressed. */
  readonly maxBytes: number;
}

interface RunningCompletion {
  readonly request: string;
  readonly result: Promise<UploadWithFile>;
}

export function completeUploadWith(deps: CompleteUploadDeps): CompleteUpload {
  const runningCompletions = new Map<string, RunningCompletion>();
  return (workspaceId, id, body) => {
    const request = JSON.stringify([workspaceId, body]);
    const running = runningCompletions.get(id);
    if (running?.request === request) return running.result;
    if (running) {
      throw new Conflict('This upload is being completed with other parts. Try again when that has ended.', {
        code: 'upload_completing',
      });
    }
    const result = complete(workspaceId, id, body, deps).finally(() => runningCompletions.delete(id));
    // Every request that waits gets the error; without one it must not count as unhandled.
    result.catch(() => undefined);
    runningCompletions.set(id, { request, result });
    return result;
  };
}

async function complete(
  workspaceId: string,
  id: string,
  { part_ids, md5 }: CompleteUploadBody,
  deps: CompleteUploadDeps,
): Promise<UploadWithFile> {
  const begun = await deps.completions.begin(workspaceId, id, part_ids);
  if (!begun) return deps.uploads.get(workspaceId, id);
  const { upload, parts } = begun;
  try {
    assertBytes(upload, parts);
    if (await isGzipUpload(upload, parts, deps.objects))
      return await completeExpanded(upload, parts, part_ids, md5, deps);
    if (md5) await assertMd5(parts, md5, deps);
    return await deps.completions.complete(workspaceId, id, part_ids, {
      ...buildNewFile(upload),
      bytes: upload.bytes,
      placed: numberPartLines(parts),
    });
  } catch (error) {
    await deps.completions.cancel(id).catch(() => undefined);
    throw error;
  }
}

const buildNewFile = ({ purpose, filename, expiresAfterS }: UploadRow) => ({
  id: createId('file'),
  purpose,
  filename: expandedFilename(filename),
  expiresInS: fileLifetimeS(purpose, expiresAfterS),
});

function assertBytes(upload: UploadRow, parts: readonly UploadPartRow[]): void {
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  if (bytes === upload.bytes) return;
  throw new InvalidInput(
    `These parts have ${bytes} bytes in total, but the upload was created for ${upload.bytes} bytes. Name all ` +
      'parts, or create an upload with the size of the file.',
    { code: 'bytes_mismatch', param: 'part_ids' },
  );
}

const toSegments = (parts: readonly UploadPartRow[]) =>
  parts.map(({ objectKey: key, bytes, lines }) => ({ key, bytes, lines }));

async function assertMd5(
  parts: readonly UploadPartRow[],
  md5: string,
  { objects }: CompleteUploadDeps,
): Promise<void> {
  const hash = createHash('md5');
  for await (const chunk of readSegments(objects, toSegments(parts)) as AsyncIterable<Buffer>)
    hash.update(chunk);
  assertSameMd5(hash.digest('hex'), md5);
}

function assertSameMd5(found: string, md5: string): void {
  if (found === md5.toLowerCase()) return;
  throw new InvalidInput(`The md5 of these parts in this order is ${found}, not the one in the request.`, {
    code: 'md5_mismatch',
    param: 'md5',
  });
}

async function* updateHash(source: Readable, hash: Hash | null): AsyncGenerator<Buffer> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    hash?.update(chunk);
    yield chunk;
  }
}

/** By its name, or for JSONL by its first bytes. @throws InvalidInput for another format than text. */
async function isGzipUpload(
  { filename }: UploadRow,
  parts: readonly UploadPartRow[],
  objects: ObjectStorage,
): Promise<boolean> {
  if (isCompressed(filename)) return true;
  if (!isJsonLines(filename)) return false;
  const head = await buffer(readSegments(objects, toSegments(parts), { start: 0, end: signatureBytes - 1 }));
  assertText(head);
  return isGzip(head);
}

/** Gzip: the parts are expanded together and stored as one object, because a single part cannot be expanded. */
async function completeExpanded(
  upload: UploadRow,
  parts: readonly UploadPartRow[],
  partIds: readonly string[],
  md5: string | null | undefined,
  { completions, objects, maxBytes }: CompleteUploadDeps,
): Promise<UploadWithFile> {
  const { workspaceId } = upload;
  const file = buildNewFile(upload);
  const key = `${workspaceId}/files/${file.id}.jsonl`;
  const counter = new LineCounter();
  const hash = createHash('md5');
  const content = updateHash(readSegments(objects, toSegments(parts)), md5 ? hash : null);
  let isStored = false;
  try {
    await objects.put(
      key,
      countLines(gunzip(Readable.from(content, { objectMode: false }), maxBytes), counter),
    );
    isStored = true;
    if (md5) assertSameMd5(hash.digest('hex'), md5);
    const lineIndex = counter.end();
    const segments = [{ key, bytes: counter.bytes, lines: counter.lines, lineIndex }];
    const completed = await completions.complete(workspaceId, upload.id, partIds, { ...file, segments });
    // Another process may have completed the upload first.
    if (completed.upload.fileId !== file.id) await objects.delete([key]).catch(() => undefined);
    return completed;
  } catch (error) {
    if (isStored && !(error instanceof Unavailable)) await objects.delete([key]).catch(() => undefined);
    throw error;
  }
}
