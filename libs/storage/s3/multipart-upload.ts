/** Multipart uploads. A failed one is aborted, so that its parts are not kept and billed. */
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  type CreateMultipartUploadCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { raceAbort, waitAtMost } from '#async';
import { Unavailable } from '#domain';
import type { PutResult } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import { hasErrorName, getStatus } from './s3-errors.ts';
import { createPutMarker, buildPutHeaders, findWrittenObject } from './put-marker.ts';
import { headObject } from './head-object.ts';
import type { BodySource } from './body-source.ts';

/** Parts at a time. Each holds its part, and one copy of it, in memory. */
const partConcurrency = 2;
/** How long a failed put waits for the abort of its upload. `clean-up-unfinished.ts` aborts what is left. */
const cleanUpMs = 5_000;

/** Sends the rest of `source` with lib-storage. When this rejects, the upload has been aborted. */
export async function putInParts(
  bucket: Bucket,
  key: string,
  source: BodySource,
  signal: AbortSignal | undefined,
): Promise<PutResult> {
  const marker = createPutMarker();
  const tracked = trackUpload(bucket.client, source, signal);
  const upload = new Upload({
    client: tracked.client,
    params: {
      ...bucket.buildAddress(key),
      ...buildPutHeaders(key, marker),
      Body: Readable.from(source.rest, { highWaterMark: 1 }),
    },
    partSize: bucket.partBytes,
    queueSize: partConcurrency,
    leavePartsOnError: true, // aborted below, where an error of the abort can't replace the first error
  });
  try {
    await upload.done();
  } catch (error) {
    const isS3Error = !signal?.aborted && !source.failure;
    // The upload may be complete and only the response lost.
    if (!isS3Error || !(await findWrittenObject(bucket, key, marker))) {
      tracked.stop();
      await cleanUpUpload(bucket, key, tracked.uploadId());
      throw tracked.failure() ?? error;
    }
  }
  const written = await findStoredObject(bucket, key, source.bytes, signal);
  if (!written) throw buildMissingError();
  return written;
}

/** Returns the object with this key; null if it does not exist or does not have `bytes`. */
export async function findStoredObject(
  bucket: Bucket,
  key: string,
  bytes: number,
  signal?: AbortSignal,
): Promise<PutResult | null> {
  const found = await headObject(bucket, key, signal);
  return found?.bytes === bytes ? { key, bytes, etag: found.etag } : null;
}

export function buildMissingError(): Unavailable {
  return new Unavailable('The object storage does not have the object that was just put. Try again.', {
    code: 'storage_failed',
  });
}

/**
 * Wraps the client for lib-storage: one failed request ends the source and the other requests at once, even while the
 * source stalls. The request that creates the upload is not aborted, because its response has the id to abort.
 */
function trackUpload(client: S3Client, source: BodySource, signal: AbortSignal | undefined) {
  let created: Promise<CreateMultipartUploadCommandOutput> | null = null;
  let failure: unknown;
  const stopped = new AbortController();
  const abortSignal = signal ? AbortSignal.any([signal, stopped.signal]) : stopped.signal;
  const stop = () => {
    source.stop();
    stopped.abort();
  };
  const send = async (command: Parameters<S3Client['send']>[0]) => {
    try {
      if (!(command instanceof CreateMultipartUploadCommand))
        return await client.send(command, { abortSignal });
      created = client.send(command);
      return await raceAbort(created, abortSignal);
    } catch (error) {
      if (!abortSignal.aborted) failure = error;
      stop();
      throw error;
    }
  };
  return {
    client: Object.create(client, { send: { value: send } }) as S3Client,
    stop,
    failure: () => failure,
    uploadId: () => created?.then(({ UploadId }) => UploadId).catch(() => undefined) ?? null,
  };
}

async function cleanUpUpload(
  bucket: Bucket,
  key: string,
  uploadId: Promise<string | undefined> | null,
): Promise<void> {
  if (uploadId === null) return;
  const aborted = uploadId.then((id) => (id === undefined ? undefined : abortUpload(bucket, key, id)));
  await waitAtMost(cleanUpMs, aborted);
}

/**
 * Repeats the abort until the upload no longer exists: a part that arrives late may restore it.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
 */
export async function abortUpload(bucket: Bucket, key: string, uploadId: string): Promise<void> {
  const upload = { ...bucket.buildAddress(key), UploadId: uploadId };
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      await bucket.client.send(new AbortMultipartUploadCommand(upload));
      await bucket.client.send(new ListPartsCommand({ ...upload, MaxParts: 1 }));
    } catch (error) {
      if (hasErrorName(error, 'NoSuchUpload') || getStatus(error) === 404) return;
      throw error;
    }
  }
}
