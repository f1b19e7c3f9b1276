/**
 * Detects, before the first conditional put, how the server handles conditions: whether it evaluates them (some servers
 * ignore them, so that two concurrent writers would both succeed), and whether `If-Match` takes the ETag with quotes, as
 * in HTTP, or without them, as Ceph's gateway does.
 */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { Unavailable } from '#domain';
import type { Bucket } from './bucket.ts';
import { deleteKeys } from './delete-keys.ts';
import { getStatus } from './s3-errors.ts';
import { createProbeKey } from './probe.ts';

export class ConditionSupport {
  /** Formats an etag for `If-Match`: quoted, unless the server has rejected quotes. */
  formatEtag: (etag: string) => string = (etag) => `"${etag}"`;
  readonly #bucket: Bucket;
  #detected: Promise<void> | null = null;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** @throws Unavailable `storage_unconditional` if the server ignores conditions. */
  async assertSupported(): Promise<void> {
    this.#detected ??= this.#detect().catch((error: unknown) => {
      this.#detected = null;
      throw error;
    });
    return this.#detected;
  }

  async #detect(): Promise<void> {
    const bucket = this.#bucket;
    const key = createProbeKey();
    const put = (condition: object) =>
      bucket.client.send(
        new PutObjectCommand({ ...bucket.buildAddress(key), Body: Buffer.from(key), ...condition }),
      );
    try {
      const { ETag } = await put({});
      await assertRejected(put({ IfNoneMatch: '*' }));
      await assertRejected(put({ IfMatch: '"00000000000000000000000000000000"' }));
      const isQuoted = await put({ IfMatch: ETag }).then(
        () => true,
        (error: unknown) => {
          if (getStatus(error) !== 412) throw error;
          return false;
        },
      );
      this.formatEtag = isQuoted ? (etag) => `"${etag}"` : (etag) => etag;
    } finally {
      await deleteKeys(bucket, [key]).catch(() => undefined);
    }
  }
}

async function assertRejected(put: Promise<unknown>): Promise<void> {
  const isIgnored = await put.then(
    () => true,
    (error: unknown) => {
      if (getStatus(error) !== 412) throw error;
      return false;
    },
  );
  if (!isIgnored) return;
  throw new Unavailable(
    'The object storage ignores the conditions of a put, so this put would not be safe.',
    {
      code: 'storage_unconditional',
    },
  );
}
