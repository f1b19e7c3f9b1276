/** Deletion in pages of what S3 takes at once; what it could not delete is asked for again. */
import { DeleteObjectsCommand } from '@aws-sdk/client-s3';
import { setTimeout as sleep } from 'node:timers/promises';
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
    const answer = await bucket.client.send(
      new DeleteObjectsCommand({ Bucket: bucket.name, Delete: { Objects, Quiet: true } }),
    );
    const errors = (answer.Errors ?? []).filter(({ Code }) => Code !== 'NoSuchKey');
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
  return new Unavailable(`The object store did not delete ${count} of the objects it was to.`, {
    code: isDenied ? 'storage_denied' : 'storage_failed',
    cause: new Error(`the first of them: ${code ?? 'no reason given'}`),
  });
}
