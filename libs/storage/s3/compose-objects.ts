/** Many objects made one by the server itself: it copies what is large enough, the rest is read and sent again. */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3';
import { NotFound, type Unavailable } from '#domain';
import { SegmentDamaged } from '../errors.ts';
import type { ComposeSource, PutResult } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import { planCompose, type PlannedPart, type Slice } from './compose-plan.ts';
import { deleteKeys } from './delete-keys.ts';
import { hasErrorName, getStatus } from './s3-errors.ts';
import { createPutMarker, buildPutHeaders, findWrittenObject } from './put-marker.ts';
import { abortUpload, buildMissingError, findStoredObject } from './multipart-upload.ts';
import { headObject, readObject } from './read-object.ts';

/** Parts under way at once, each that is gathered held in memory; and reads at once for one of those. */
const partConcurrency = 3;
const readConcurrency = 8;

export async function composeObjects(
  bucket: Bucket,
  sources: readonly ComposeSource[],
  target: string,
  signal: AbortSignal,
): Promise<PutResult> {
  const parts = planCompose(sources.map(({ bytes }) => bytes));
  const total = sources.reduce((sum, { bytes }) => sum + bytes, 0);
  const mark = createPutMarker();
  const at = bucket.buildAddress(target);
  const { UploadId } = await bucket.client.send(
    new CreateMultipartUploadCommand({ ...at, ...buildPutHeaders(target, mark) }),
  );
  const failed = new AbortController();
  const work: ComposeJob = {
    bucket,
    sources,
    at,
    UploadId,
    signal: AbortSignal.any([signal, failed.signal]),
  };
  try {
    const Parts = await runConcurrently(partConcurrency, parts, (part, index) =>
      uploadPart(work, part, index + 1),
    );
    await bucket.client
      .send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } }), {
        abortSignal: signal,
      })
      .catch(async (error: unknown) => {
        if (!(await findWrittenObject(bucket, target, mark))) throw error;
      });
  } catch (error) {
    failed.abort();
    if (UploadId !== undefined) await abortUpload(bucket, target, UploadId).catch(() => undefined);
    throw error;
  }
  const made = await findStoredObject(bucket, target, total, signal);
  if (made) return made;
  await deleteKeys(bucket, [target]);
  throw await findDamagedSource(bucket, sources, signal);
}

/** The source that made the whole longer or shorter than the records say. */
async function findDamagedSource(
  bucket: Bucket,
  sources: readonly ComposeSource[],
  signal: AbortSignal,
): Promise<SegmentDamaged | Unavailable> {
  for (const { key, bytes } of sources) {
    const found = await headObject(bucket, key, signal);
    if (found?.bytes !== bytes) return new SegmentDamaged(key, bytes, found?.bytes ?? null);
  }
  return buildMissingError();
}

interface ComposeJob {
  readonly bucket: Bucket;
  readonly sources: readonly ComposeSource[];
  readonly at: { readonly Bucket: string; readonly Key: string };
  readonly UploadId: string | undefined;
  readonly signal: AbortSignal;
}

async function uploadPart(work: ComposeJob, part: PlannedPart, PartNumber: number): Promise<CompletedPart> {
  const { bucket, at, UploadId, signal } = work;
  const upload = { ...at, UploadId, PartNumber };
  const abortSignal = { abortSignal: signal };
  if (part.kind === 'copy') {
    const copy = new UploadPartCopyCommand({ ...upload, ...buildCopySource(work, part.slice) });
    const { CopyPartResult } = await bucket.client.send(copy, abortSignal).catch((error: unknown) => {
      throw toDamage(work, part.slice, error);
    });
    return { PartNumber, ETag: CopyPartResult?.ETag, ...pickChecksums(CopyPartResult) };
  }
  const pieces = await runConcurrently(readConcurrency, part.slices, (slice) => readSlice(work, slice));
  const sent = await bucket.client.send(
    new UploadPartCommand({ ...upload, Body: Buffer.concat(pieces) }),
    abortSignal,
  );
  return { PartNumber, ETag: sent.ETag, ...pickChecksums(sent) };
}

function buildCopySource({ bucket, sources }: ComposeJob, { index, start, end }: Slice) {
  const { key, bytes } = sources[index]!;
  const CopySource = `${bucket.name}/${bucket.prefix}${key}`;
  // Without a range where it is the whole: an object that has grown beyond its record then shows in the total.
  return start === 0 && end === bytes - 1
    ? { CopySource }
    : { CopySource, CopySourceRange: `bytes=${start}-${end}` };
}

async function readSlice(
  { bucket, sources, signal }: ComposeJob,
  { index, start, end }: Slice,
): Promise<Buffer> {
  const { key, bytes } = sources[index]!;
  try {
    return await readObject(bucket, key, { start, end, expectedBytes: bytes, signal });
  } catch (error) {
    if (error instanceof NotFound) throw new SegmentDamaged(key, bytes, null, error);
    throw error;
  }
}

/** A source that is gone, or too short for its range. */
function toDamage({ sources }: ComposeJob, { index }: Slice, error: unknown): unknown {
  const { key, bytes } = sources[index]!;
  const status = getStatus(error);
  if (status === 404 && !hasErrorName(error, 'NoSuchUpload', 'NoSuchBucket'))
    return new SegmentDamaged(key, bytes, null);
  return error;
}

function pickChecksums(of: CompletedPart | undefined): Partial<CompletedPart> {
  return of?.ChecksumCRC32 === undefined ? {} : { ChecksumCRC32: of.ChecksumCRC32 };
}

/** A few at a time, in order of their beginning; the first failure ends it when those under way have ended. */
async function runConcurrently<T, R>(
  lanes: number,
  items: readonly T[],
  run: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let failure: { error: unknown } | null = null;
  const lane = async (): Promise<void> => {
    while (next < items.length && !failure) {
      const index = next++;
      try {
        results[index] = await run(items[index]!, index);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  if (failure) throw (failure as { error: unknown }).error;
  return results;
}
