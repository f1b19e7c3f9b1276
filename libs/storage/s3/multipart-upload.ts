/** Uploads in parts: begun, ended, and cleared away when they fail, so that nothing half-written is paid for. */
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  type CreateMultipartUploadCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { Unavailable } from '#domain';
import type { PutResult } from '../object-storage.ts';
import type { Bucket } from './bucket.ts';
import { hasErrorName, getStatus } from './s3-errors.ts';
import { createPutMarker, buildPutHeaders, findWrittenObject } from './put-marker.ts';
import { headObject } from './read-object.ts';
import type { BodySource } from './body-source.ts';

/** Parts under way at once: each holds one part, and one copy of it, in memory. */
const partConcurrency = 2;
/** How long a failed put waits for its parts to be cleared away; what is left then is for the sweep. */
const cleanUpMs = 5_000;

/** Sends what `source` still holds by lib-storage. Nothing is left of it when this rejects. */
export async function putInParts(
  bucket: Bucket,
  key: string,
  source: BodySource,
  signal: AbortSignal | undefined,
): Promise<PutResult> {
  const mark = createPutMarker();
  const call = trackUpload(bucket.client, source, signal);
  const upload = new Upload({
    client: call.client,
    params: {
      ...bucket.buildAddress(key),
      ...buildPutHeaders(key, mark),
      Body: Readable.from(source.rest, { highWaterMark: 1 }),
    },
    partSize: bucket.partBytes,
    queueSize: partConcurrency,
    leavePartsOnError: true, // cleared away below, where a failure to do so can't hide the first one
  });
  try {
    await upload.done();
  } catch (error) {
    const isOurs = !signal?.aborted && !source.failure;
    // Completed perhaps, and only the answer lost.
    if (!isOurs || !(await findWrittenObject(bucket, key, mark))) {
      call.stop();
      await cleanUpUpload(bucket, key, call.uploadId());
      throw call.failure() ?? error;
    }
  }
  const made = await findStoredObject(bucket, key, source.bytes, signal);
  if (!made) throw buildMissingError();
  return made;
}

/** What the store now holds under this key; null where it is not as long as what was sent. */
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
  return new Unavailable('The object store does not hold what was just put; try again.', {
    code: 'storage_failed',
  });
}

/**
 * The client as lib-storage is to see it: one request that fails ends the source and the others at once, even where
 * the source stalls. The request that begins the upload is the exception: its answer says what there is to clear.
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

async function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- an abort rejects with its own reason
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function cleanUpUpload(
  bucket: Bucket,
  key: string,
  uploadId: Promise<string | undefined> | null,
): Promise<void> {
  if (uploadId === null) return;
  const clearing = uploadId.then((id) => (id === undefined ? undefined : abortUpload(bucket, key, id)));
  const inTime = AbortSignal.timeout(cleanUpMs);
  await raceAbort(clearing, inTime).catch(() => undefined);
}

/**
 * Aborts an upload until the server no longer knows it: a part that was still on its way may bring it back.
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
