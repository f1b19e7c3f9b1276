/** Removes what processes that died have left: multipart uploads that will not be completed, and objects of probes. */
import {
  ListMultipartUploadsCommand,
  ListPartsCommand,
  paginateListObjectsV2,
  type ListMultipartUploadsCommandOutput,
  type ListPartsCommandOutput,
  type MultipartUpload,
} from '@aws-sdk/client-s3';
import type { Bucket } from './bucket.ts';
import { deleteKeys } from './delete-keys.ts';
import { hasErrorName } from './s3-errors.ts';
import { abortUpload } from './multipart-upload.ts';
import { hiddenFolder } from './probe.ts';

/** @returns how many were removed. An upload with a part younger than `olderThanMs` may still be running and is kept. */
export async function cleanUpUnfinished(bucket: Bucket, olderThanMs: number): Promise<number> {
  const before = Date.now() - olderThanMs;
  return (await abortStaleUploads(bucket, before)) + (await deleteStaleProbes(bucket, before));
}

async function abortStaleUploads(bucket: Bucket, before: number): Promise<number> {
  let removed = 0;
  for await (const { Key, UploadId, Initiated } of listUploads(bucket)) {
    if (!Key?.startsWith(bucket.prefix) || UploadId === undefined) continue;
    if ((Initiated?.getTime() ?? 0) >= before) continue;
    if ((await findLastPartTime(bucket, Key, UploadId)) >= before) continue;
    await abortUpload(bucket, Key.slice(bucket.prefix.length), UploadId);
    removed++;
  }
  return removed;
}

async function* listUploads(bucket: Bucket): AsyncGenerator<MultipartUpload> {
  const input = { Bucket: bucket.name, ...(bucket.prefix !== '' && { Prefix: bucket.prefix }) };
  let from: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
  while (from) {
    const page: ListMultipartUploadsCommandOutput = await bucket.client.send(
      new ListMultipartUploadsCommand({ ...input, ...from }),
    );
    yield* page.Uploads ?? [];
    from = page.IsTruncated
      ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
      : null;
  }
}

/** Without the SDK's paginator, which never ends with a server that returns a next marker after the last page (Ceph). */
async function findLastPartTime(bucket: Bucket, Key: string, UploadId: string): Promise<number> {
  const input = { Bucket: bucket.name, Key, UploadId };
  let last = 0;
  let from: { PartNumberMarker?: string } | null = {};
  try {
    while (from) {
      const page: ListPartsCommandOutput = await bucket.client.send(
        new ListPartsCommand({ ...input, ...from }),
      );
      for (const { LastModified } of page.Parts ?? []) last = Math.max(last, LastModified?.getTime() ?? 0);
      from = page.IsTruncated ? { PartNumberMarker: page.NextPartNumberMarker } : null;
    }
  } catch (error) {
    // The upload was completed or aborted since it was listed.
    if (hasErrorName(error, 'NoSuchUpload')) return Infinity;
    throw error;
  }
  return last;
}

async function deleteStaleProbes(bucket: Bucket, before: number): Promise<number> {
  let removed = 0;
  const input = { Bucket: bucket.name, Prefix: bucket.prefix + hiddenFolder };
  for await (const { Contents = [] } of paginateListObjectsV2({ client: bucket.client }, input)) {
    const old = Contents.filter(({ LastModified }) => (LastModified?.getTime() ?? 0) < before);
    await deleteKeys(
      bucket,
      old.flatMap(({ Key }) => (Key === undefined ? [] : [Key.slice(bucket.prefix.length)])),
    );
    removed += old.length;
  }
  return removed;
}
