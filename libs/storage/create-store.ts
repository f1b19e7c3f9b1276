/** Which store it is, as data: an app decides it once, and nothing else asks. */
import { createDiskStore, type DiskStoreOptions } from './disk/disk-store.ts';
import type { S3StoreOptions } from './s3/options.ts';
import type { ObjectStore } from './store.ts';

export type StoreOptions =
  ({ readonly kind: 'disk' } & DiskStoreOptions) | ({ readonly kind: 's3' } & S3StoreOptions);

/** @throws Unavailable that says what to mend where the store can't be used as it is set */
export async function createStore(options: StoreOptions): Promise<ObjectStore> {
  if (options.kind === 'disk') return createDiskStore(options);
  // Loaded only where it is used: the SDK costs a quarter of a second and 30 MB.
  const { createS3Store } = await import('./s3/s3-store.ts');
  return createS3Store(options);
}
