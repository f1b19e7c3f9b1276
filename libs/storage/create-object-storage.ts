/** Creates the object storage of the settings: disk or S3. */
import { createDiskStorage, type DiskStorageOptions } from './disk/disk-storage.ts';
import type { S3StorageOptions } from './s3/options.ts';
import type { ObjectStorage } from './object-storage.ts';

export type ObjectStorageOptions =
  ({ readonly kind: 'disk' } & DiskStorageOptions) | ({ readonly kind: 's3' } & S3StorageOptions);

/** @throws Unavailable with a message that says what to fix if the storage can't be used with these settings. */
export async function createObjectStorage(options: ObjectStorageOptions): Promise<ObjectStorage> {
  if (options.kind === 'disk') return createDiskStorage(options);
  // Imported only for S3: loading the SDK takes 250 ms and 30 MB.
  const { createS3Storage } = await import('./s3/s3-storage.ts');
  return createS3Storage(options);
}
