/** The object store in an S3 bucket: AWS, or any server that speaks its protocol. */
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
import { headObject, openObject, readObject } from './read-object.ts';
import { cleanUpUnfinished } from './clean-up-unfinished.ts';
import { putObject } from './put-object.ts';

/** @throws Unavailable that says what to do where bucket or credentials are not as they must be */
export async function createS3Storage(options: S3StorageOptions): Promise<ObjectStorage> {
  assertOptions(options);
  const bucket = openBucket(options);
  try {
    await assertUsable(bucket);
  } catch (error) {
    bucket.close();
    throw error;
  }
  const objects = new S3Storage(bucket);
  // Not all may list uploads: where it is refused, what is left over costs money but does no harm.
  await objects.cleanUpUnfinished(options.staleAfterMs ?? defaults.staleAfterMs).catch(() => undefined);
  return objects;
}

function assertOptions({
  accessKeyId,
  secretAccessKey,
  prefix = '',
  partBytes = minPartBytes,
}: S3StorageOptions): void {
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    throw new InvalidInput('An access key needs its secret, and a secret its key.');
  }
  if (prefix !== '' && !prefix.endsWith('/'))
    throw new InvalidInput('The prefix of a store ends in a slash.');
  assertPrefix(prefix);
  if (partBytes < minPartBytes)
    throw new InvalidInput(`The parts of an upload have ${minPartBytes} bytes or more.`);
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
        // Probes, and what a console calls a folder, are no objects of ours.
        if (isKey(key)) yield { key, bytes: Size, etag: unquoteEtag(ETag), modifiedAt: LastModified };
      }
      from = IsTruncated && NextContinuationToken ? { ContinuationToken: NextContinuationToken } : null;
    }
  }

  async signedUrl(key: string, options: SignOptions): Promise<string> {
    assertKey(key);
    const { method, expiresInS, filename, contentType } = options;
    assertExpiry(expiresInS);
    const at = this.#bucket.buildAddress(key);
    if (method === 'PUT') {
      assertContentType(key, contentType);
      const put = new PutObjectCommand({ ...at, ContentType: contentType });
      const signableHeaders = new Set(contentType === undefined ? [] : ['content-type']);
      return runOnS3(() =>
        getSignedUrl(this.#bucket.signer, put, { expiresIn: expiresInS, signableHeaders }),
      );
    }
    const get = new GetObjectCommand({
      ...at,
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

  /** Ends the connections that are kept; a stream that is still read breaks off. */
  async close(): Promise<void> {
    this.#bucket.close();
  }
}

/** An abort rejects with the signal's own reason, S3's errors in the words of the tree. */
async function runOnS3<T>(step: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await step();
  } catch (error) {
    signal?.throwIfAborted();
    throw toStorageError(error);
  }
}

/** RFC 6266, with the name in UTF-8 (RFC 8187) and an ASCII likeness for what does not know that. */
function buildContentDisposition(filename: string): string {
  const plain = filename.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(filename.toWellFormed()).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
