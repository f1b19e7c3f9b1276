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
import { dismiss } from '../body.ts';
import { assertContentType, contentTypeOf } from '../content-types.ts';
import { assertKey, assertPrefix, isKey } from '../keys.ts';
import { assertExpiry } from '../sign.ts';
import type {
  ComposeSource,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  PutResult,
  ReadOptions,
  SignOptions,
} from '../store.ts';
import { openBucket, type Bucket } from './bucket.ts';
import { composeObjects } from './compose.ts';
import { Conditions } from './conditions.ts';
import { deleteKeys } from './deleting.ts';
import { translate } from './faults.ts';
import { unquoted } from './integrity.ts';
import { defaults, minPartBytes, type S3StoreOptions } from './options.ts';
import { assertUsable, probe } from './probe.ts';
import { headObject, openObject, readObject } from './reading.ts';
import { sweep } from './sweep.ts';
import { putObject } from './writing.ts';

/** @throws Unavailable that says what to do where bucket or credentials are not as they must be */
export async function createS3Store(options: S3StoreOptions): Promise<ObjectStore> {
  assertOptions(options);
  const bucket = openBucket(options);
  try {
    await assertUsable(bucket);
  } catch (error) {
    bucket.close();
    throw error;
  }
  const store = new S3Store(bucket);
  // Not all may list uploads: where it is refused, what is left over costs money but does no harm.
  await store.sweep(options.staleAfterMs ?? defaults.staleAfterMs).catch(() => undefined);
  return store;
}

function assertOptions({
  accessKeyId,
  secretAccessKey,
  prefix = '',
  partBytes = minPartBytes,
}: S3StoreOptions): void {
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    throw new InvalidInput('An access key needs its secret, and a secret its key.');
  }
  if (prefix !== '' && !prefix.endsWith('/'))
    throw new InvalidInput('The prefix of a store ends in a slash.');
  assertPrefix(prefix);
  if (partBytes < minPartBytes)
    throw new InvalidInput(`The parts of an upload have ${minPartBytes} bytes or more.`);
}

class S3Store implements ObjectStore {
  readonly #bucket: Bucket;
  readonly #conditions: Conditions;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
    this.#conditions = new Conditions(bucket);
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<PutResult> {
    try {
      assertKey(key);
    } catch (error) {
      dismiss(body);
      throw error;
    }
    return putObject(this.#bucket, this.#conditions, key, body, options);
  }

  async get(key: string, options: ReadOptions = {}) {
    assertKey(key);
    return ask(() => openObject(this.#bucket, key, options), options.signal);
  }

  async read(key: string, options: ReadOptions = {}): Promise<Buffer> {
    assertKey(key);
    return ask(() => readObject(this.#bucket, key, options), options.signal);
  }

  async head(key: string) {
    assertKey(key);
    const found = await ask(() => headObject(this.#bucket, key));
    if (!found) return null;
    const { bytes, etag, modifiedAt } = found;
    return { key, bytes, etag, modifiedAt, contentType: contentTypeOf(key) };
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) assertKey(key);
    await ask(() => deleteKeys(this.#bucket, keys));
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
      const page: ListObjectsV2CommandOutput = await ask(() => bucket.client.send(command));
      const { Contents = [], IsTruncated, NextContinuationToken } = page;
      for (const { Key = '', Size = 0, ETag, LastModified = new Date(0) } of Contents) {
        const key = Key.slice(bucket.prefix.length);
        // Probes, and what a console calls a folder, are no objects of ours.
        if (isKey(key)) yield { key, bytes: Size, etag: unquoted(ETag), modifiedAt: LastModified };
      }
      from = IsTruncated && NextContinuationToken ? { ContinuationToken: NextContinuationToken } : null;
    }
  }

  async signedUrl(key: string, options: SignOptions): Promise<string> {
    assertKey(key);
    const { method, expiresInS, filename, contentType } = options;
    assertExpiry(expiresInS);
    const at = this.#bucket.at(key);
    if (method === 'PUT') {
      assertContentType(key, contentType);
      const put = new PutObjectCommand({ ...at, ContentType: contentType });
      const signableHeaders = new Set(contentType === undefined ? [] : ['content-type']);
      return ask(() => getSignedUrl(this.#bucket.signer, put, { expiresIn: expiresInS, signableHeaders }));
    }
    const get = new GetObjectCommand({
      ...at,
      ResponseContentType: contentType ?? contentTypeOf(key),
      ...(filename !== undefined && { ResponseContentDisposition: attachment(filename) }),
    });
    return ask(() => getSignedUrl(this.#bucket.signer, get, { expiresIn: expiresInS }));
  }

  async probe(): Promise<void> {
    await ask(() => probe(this.#bucket));
  }

  async sweep(olderThanMs: number): Promise<number> {
    return ask(() => sweep(this.#bucket, olderThanMs));
  }

  async compose(
    sources: readonly ComposeSource[],
    target: string,
    { signal = new AbortController().signal }: { signal?: AbortSignal } = {},
  ): Promise<PutResult> {
    for (const { key } of sources) assertKey(key);
    assertKey(target);
    if (sources.every(({ bytes }) => bytes === 0)) return this.put(target, Buffer.alloc(0), { signal });
    return ask(() => composeObjects(this.#bucket, sources, target, signal), signal);
  }

  /** Ends the connections that are kept; a stream that is still read breaks off. */
  async close(): Promise<void> {
    this.#bucket.close();
  }
}

/** An abort rejects with the signal's own reason, S3's errors in the words of the tree. */
async function ask<T>(step: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await step();
  } catch (error) {
    signal?.throwIfAborted();
    throw translate(error);
  }
}

/** RFC 6266, with the name in UTF-8 (RFC 8187) and an ASCII likeness for what does not know that. */
function attachment(filename: string): string {
  const plain = filename.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(filename.toWellFormed()).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
