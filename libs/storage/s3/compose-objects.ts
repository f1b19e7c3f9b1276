/** Concatenates objects. The server copies those that are large enough for a part; the others are read and sent again. */
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
import { headObject } from './head-object.ts';
import { readObject } from './read-object.ts';

/** Parts at a time. A gathered part is held in memory. */
const partConcurrency = 3;
/** Reads at a time for one gathered part. */
const readConcurrency = 8;

export async function composeObjects(
  bucket: Bucket,
  sources: readonly ComposeSource[],
  target: string,
  signal: AbortSignal,
): Promise<PutResult> {
  const parts = planCompose(sources.map(({ bytes }) => bytes));
  const total = sources.reduce((sum, { bytes }) => sum + bytes, 0);
  const marker = createPutMarker();
  const address = bucket.buildAddress(target);
  const { UploadId } = await bucket.client.send(
    new CreateMultipartUploadCommand({ ...address, ...buildPutHeaders(target, marker) }),
  );
  const failed = new AbortController();
  const job: ComposeJob = {
    bucket,
    sources,
    address,
    UploadId,
    signal: AbortSignal.any([signal, failed.signal]),
  };
  try {
    const Parts = await runConcurrently(partConcurrency, parts, (part, index) =>
      uploadPart(job, part, index + 1),
    );
    await bucket.client
      .send(new CompleteMultipartUploadCommand({ ...address, UploadId, MultipartUpload: { Parts } }), {
        abortSignal: signal,
      })
      .catch(async (error: unknown) => {
        if (!(await findWrittenObject(bucket, target, marker))) throw error;
      });
  } catch (error) {
    failed.abort();
    if (UploadId !== undefined) await abortUpload(bucket, target, UploadId).catch(() => undefined);
    throw error;
  }
  const composed = await findStoredObject(bucket, target, total, signal);
  if (composed) return composed;
  await deleteKeys(bucket, [target]);
  throw await findDamagedSource(bucket, sources, signal);
}

/** Finds the source because of which the composed object does not have the recorded size. */
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
  readonly address: { readonly Bucket: string; readonly Key: string };
  readonly UploadId: string | undefined;
  readonly signal: AbortSignal;
}

async function uploadPart(job: ComposeJob, part: PlannedPart, PartNumber: number): Promise<CompletedPart> {
  const { bucket, address, UploadId, signal } = job;
  const upload = { ...address, UploadId, PartNumber };
  const abortSignal = { abortSignal: signal };
  if (part.kind === 'copy') {
    const copy = new UploadPartCopyCommand({ ...upload, ...buildCopySource(job, part.slice) });
    const { CopyPartResult } = await bucket.client.send(copy, abortSignal).catch((error: unknown) => {
      throw toCopyError(job, part.slice, error);
    });
    return { PartNumber, ETag: CopyPartResult?.ETag, ...pickChecksums(CopyPartResult) };
  }
  const pieces = await runConcurrently(readConcurrency, part.slices, (slice) => readSlice(job, slice));
  const sent = await bucket.client.send(
    new UploadPartCommand({ ...upload, Body: Buffer.concat(pieces) }),
    abortSignal,
  );
  return { PartNumber, ETag: sent.ETag, ...pickChecksums(sent) };
}

function buildCopySource({ bucket, sources }: ComposeJob, { index, start, end }: Slice) {
  const { key, bytes } = sources[index]!;
  const CopySource = `${bucket.name}/${bucket.prefix}${key}`;
  // No range for a whole object, so that an object larger than recorded shows in the total size.
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

/** `SegmentDamaged` if the source is missing. */
function toCopyError({ sources }: ComposeJob, { index }: Slice, error: unknown): unknown {
  const { key, bytes } = sources[index]!;
  const status = getStatus(error);
  if (status === 404 && !hasErrorName(error, 'NoSuchUpload', 'NoSuchBucket'))
    return new SegmentDamaged(key, bytes, null);
  return error;
}

function pickChecksums(part: CompletedPart | undefined): Partial<CompletedPart> {
  return part?.ChecksumCRC32 === undefined ? {} : { ChecksumCRC32: part.ChecksumCRC32 };
}

/** Runs items in order, at most `concurrency` at a time. Throws the first error once the running ones have ended. */
async function runConcurrently<T, R>(
  concurrency: number,
  items: readonly T[],
  run: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  let failure: { error: unknown } | null = null;
  const runNext = async (): Promise<void> => {
    while (next < items.length && !failure) {
      const index = next++;
      try {
        results[index] = await run(items[index]!, index);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runNext));
  if (failure) throw (failure as { error: unknown }).error;
  return results;
}
