/** Which store it is, as data: an app decides it once, and nothing else asks. */
import { createDiskStorage, type DiskStorageOptions } from './disk/disk-storage.ts';
import type { S3StorageOptions } from './s3/options.ts';
import type { ObjectStorage } from './object-storage.ts';

export type ObjectStorageOptions =
  ({ readonly kind: 'disk' } & DiskStorageOptions) | ({ readonly kind: 's3' } & S3StorageOptions);

/** @throws Unavailable that says what to mend where the store can't be used as it is set */
export async function createObjectStorage(options: ObjectStorageOptions): Promise<ObjectStorage> {
  if (options.kind === 'disk') return createDiskStorage(options);
  // Loaded only where it is used: the SDK costs a quarter of a second and 30 MB.
  const { createS3Storage } = await import('./s3/s3-storage.ts');
  return createS3Storage(options);
}
