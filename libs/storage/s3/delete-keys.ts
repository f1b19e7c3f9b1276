/** Deletes objects in pages of 1,000 keys, the limit of S3. Keys that the server could not delete are retried. */
import { DeleteObjectsCommand } from '@aws-sdk/client-s3';
import { sleep } from '#async';
import { Unavailable } from '#domain';
import type { Bucket } from './bucket.ts';

const pageSize = 1_000;

export async function deleteKeys(bucket: Bucket, keys: readonly string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += pageSize) {
    await deletePage(bucket, keys.slice(at, at + pageSize));
  }
}

async function deletePage(bucket: Bucket, keys: readonly string[]): Promise<void> {
  let left = keys;
  for (let attempt = 1; left.length > 0; attempt++) {
    const Objects = left.map((key) => ({ Key: bucket.prefix + key }));
    const response = await bucket.client.send(
      new DeleteObjectsCommand({ Bucket: bucket.name, Delete: { Objects, Quiet: true } }),
    );
    const errors = (response.Errors ?? []).filter(({ Code }) => Code !== 'NoSuchKey');
    if (errors.length === 0) return;
    if (attempt === bucket.maxAttempts) throw buildDeleteError(errors.length, errors[0]?.Code);
    left = errors.flatMap(({ Key }) =>
      Key?.startsWith(bucket.prefix) ? [Key.slice(bucket.prefix.length)] : [],
    );
    if (left.length === 0) throw buildDeleteError(errors.length, errors[0]?.Code);
    await sleep(Math.random() * 100 * 2 ** attempt);
  }
}

function buildDeleteError(count: number, code: string | undefined): Unavailable {
  const isDenied = code === 'AccessDenied';
  return new Unavailable(`The object storage failed to delete ${count} objects.`, {
    code: isDenied ? 'storage_denied' : 'storage_failed',
    cause: new Error(`error of the first one: ${code ?? 'none'}`),
  });
}
