/**
 * How this server takes conditions on a put, found out when the first is needed: that it keeps them at all (some
 * servers ignore them, and then two writers would both have won), and whether it compares the ETag of `If-Match`
 * with its quotes, as HTTP writes it, or only without, as Ceph's gateway does.
 */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { Unavailable } from '#domain';
import type { Bucket } from './bucket.ts';
import { deleteKeys } from './delete-keys.ts';
import { getStatus } from './s3-errors.ts';
import { createProbeKey } from './probe.ts';

export class ConditionSupport {
  /** What writes an etag into `If-Match`; quoted until the server has shown that it wants it bare. */
  formatEtag: (etag: string) => string = (etag) => `"${etag}"`;
  readonly #bucket: Bucket;
  #tried: Promise<void> | null = null;

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** @throws Unavailable `storage_unconditional` where the server would write whatever the condition */
  async assertSupported(): Promise<void> {
    this.#tried ??= this.#try().catch((error: unknown) => {
      this.#tried = null;
      throw error;
    });
    return this.#tried;
  }

  async #try(): Promise<void> {
    const bucket = this.#bucket;
    const key = createProbeKey();
    const put = (condition: object) =>
      bucket.client.send(
        new PutObjectCommand({ ...bucket.buildAddress(key), Body: Buffer.from(key), ...condition }),
      );
    try {
      const { ETag } = await put({});
      await assertRefused(put({ IfNoneMatch: '*' }));
      await assertRefused(put({ IfMatch: '"00000000000000000000000000000000"' }));
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

async function assertRefused(put: Promise<unknown>): Promise<void> {
  const isIgnored = await put.then(
    () => true,
    (error: unknown) => {
      if (getStatus(error) !== 412) throw error;
      return false;
    },
  );
  if (!isIgnored) return;
  throw new Unavailable('The object store ignores conditions on a put, so that this one would not be safe.', {
    code: 'storage_unconditional',
  });
}
