/** The object storage in an S3 bucket, of AWS or of any server with its protocol. */
import {
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type ListObjectsV2CommandInput,
  type ListObjectsV2CommandOutput,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { InvalidInput } from '#domain';
import { closeBody } from '../body.ts';
import { buildContentDisposition } from '../content-disposition.ts';
import { assertContentType, getContentType } from '../content-types.ts';
import { assertKey, assertPrefix, isKey } from '../keys.ts';
import { assertExpiry } from '../signed-urls.ts';
import type {
  ComposeSource,
  ObjectBody,
  ObjectInfo,
  ObjectStorage,
  PutOptions,
  PutResult,
  ReadOptions,
  SignOptions,
} from '../object-storage.ts';
import { openBucket, type Bucket } from './bucket.ts';
import { composeObjects } from './compose-objects.ts';
import { ConditionSupport } from './condition-support.ts';
import { deleteKeys } from './delete-keys.ts';
import { toStorageError } from './s3-errors.ts';
import { unquoteEtag } from './checksums.ts';
import { defaults, minPartBytes, type S3StorageOptions } from './options.ts';
import { assertUsable, probe } from './probe.ts';
import { headObject } from './head-object.ts';
import { openObject, readObject } from './read-object.ts';
import { cleanUpUnfinished } from './clean-up-unfinished.ts';
import { putObject } from './put-object.ts';

/** @throws Unavailable with a message that says what to fix if the bucket or the credentials can't be used. */
export async function createS3Storage(options: S3StorageOptions): Promise<ObjectStorage> {
  assertOptions(options);
  const bucket = openBucket(options);
  try {
    await assertUsable(bucket);
  } catch (error) {
    bucket.close();
    throw error;
  }
  const storage = new S3Storage(bucket);
  // The credentials may lack the permission to list uploads. What is left then costs money but does no harm.
  await storage.cleanUpUnfinished(options.staleAfterMs ?? defaults.staleAfterMs).catch(() => undefined);
  return storage;
}

function assertOptions({
  accessKeyId,
  secretAccessKey,
  prefix = '',
  partBytes = minPartBytes,
}: S3StorageOptions): void {
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    throw new InvalidInput('Set both the access key and its secret, or neither.');
  }
  if (prefix !== '' && !prefix.endsWith('/')) throw new InvalidInput('The prefix must end with a slash.');
  assertPrefix(prefix);
  if (partBytes < minPartBytes)
    throw new InvalidInput(`The parts of an upload must have at least ${minPartBytes} bytes.`);
}

class S3Storage implements ObjectStorage {
  readonly #bucket: Bucket;
  readonly #conditions: ConditionSupport;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
    this.#conditions = new ConditionSupport(bucket);
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<PutResult> {
    try {
      assertKey(key);
    } catch (error) {
      closeBody(body);
      throw error;
    }
    return putObject(this.#bucket, this.#conditions, key, body, options);
  }

  async get(key: string, options: ReadOptions = {}) {
    assertKey(key);
    return runOnS3(() => openObject(this.#bucket, key, options), options.signal);
  }

  async read(key: string, options: ReadOptions = {}): Promise<Buffer> {
    assertKey(key);
    return runOnS3(() => readObject(this.#bucket, key, options), options.signal);
  }

  async head(key: string) {
    assertKey(key);
    const found = await runOnS3(() => headObject(this.#bucket, key));
    if (!found) return null;
    const { bytes, etag, modifiedAt } = found;
    return { key, bytes, etag, modifiedAt, contentType: getContentType(key) };
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) assertKey(key);
    await runOnS3(() => deleteKeys(this.#bucket, keys));
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<ObjectInfo> {
    assertPrefix(prefix);
    const bucket = this.#bucket;
    const input = { Bucket: bucket.name, Prefix: bucket.prefix + prefix };
    let from: Pick<ListObjectsV2CommandInput, 'StartAfter' | 'ContinuationToken'> | null = options.after
      ? { StartAfter: bucket.prefix + options.after }
      : {};
    while (from) {
      const command = new ListObjectsV2Command({ ...input, ...from });
      const page: ListObjectsV2CommandOutput = await runOnS3(() => bucket.client.send(command));
      const { Contents = [], IsTruncated, NextContinuationToken } = page;
      for (const { Key = '', Size = 0, ETag, LastModified = new Date(0) } of Contents) {
        const key = Key.slice(bucket.prefix.length);
        // Skips probes, and the objects that a console creates as folders.
        if (isKey(key)) yield { key, bytes: Size, etag: unquoteEtag(ETag), modifiedAt: LastModified };
      }
      from = IsTruncated && NextContinuationToken ? { ContinuationToken: NextContinuationToken } : null;
    }
  }

  async signedUrl(key: string, options: SignOptions): Promise<string> {
    assertKey(key);
    const { method, expiresInS, filename, contentType } = options;
    assertExpiry(expiresInS);
    const address = this.#bucket.buildAddress(key);
    if (method === 'PUT') {
      assertContentType(key, contentType);
      const put = new PutObjectCommand({ ...address, ContentType: contentType });
      const signableHeaders = new Set(contentType === undefined ? [] : ['content-type']);
      return runOnS3(() =>
        getSignedUrl(this.#bucket.signer, put, { expiresIn: expiresInS, signableHeaders }),
      );
    }
    const get = new GetObjectCommand({
      ...address,
      ResponseContentType: contentType ?? getContentType(key),
      ...(filename !== undefined && { ResponseContentDisposition: buildContentDisposition(filename) }),
    });
    return runOnS3(() => getSignedUrl(this.#bucket.signer, get, { expiresIn: expiresInS }));
  }

  async probe(): Promise<void> {
    await runOnS3(() => probe(this.#bucket));
  }

  async cleanUpUnfinished(olderThanMs: number): Promise<number> {
    return runOnS3(() => cleanUpUnfinished(this.#bucket, olderThanMs));
  }

  async compose(
    sources: readonly ComposeSource[],
    target: string,
    { signal = new AbortController().signal }: { signal?: AbortSignal } = {},
  ): Promise<PutResult> {
    for (const { key } of sources) assertKey(key);
    assertKey(target);
    if (sources.every(({ bytes }) => bytes === 0)) return this.put(target, Buffer.alloc(0), { signal });
    return runOnS3(() => composeObjects(this.#bucket, sources, target, signal), signal);
  }

  /** Closes all connections. A stream that is being read fails. */
  async close(): Promise<void> {
    this.#bucket.close();
  }
}

/** Runs an operation and translates its error. After an abort it throws the signal's reason. */
async function runOnS3<T>(operation: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    signal?.throwIfAborted();
    throw toStorageError(error);
  }
}
