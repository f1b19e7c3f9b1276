export {
  createDiskStorage as createDiskStore,
  type DiskStorageOptions as DiskStoreOptions,
} from './disk/disk-storage.ts';
export {
  createObjectStorage as createStore,
  type ObjectStorageOptions as StoreOptions,
} from './create-object-storage.ts';
export { findDamaged } from './find-damaged.ts';
export { SegmentDamaged } from './errors.ts';
export { readSegments, type Segment } from './segments.ts';
export {
  signUrl,
  verifySignedUrl,
  type SignedUrlGrant as SignedGrant,
  type SignedUrlRequest as SignedRequest,
  type UrlSigningOptions as UrlSigning,
} from './signed-urls.ts';
export type { S3StorageOptions as S3StoreOptions } from './s3/options.ts';
export type {
  ByteRange,
  ComposeSource,
  ObjectBody,
  ObjectInfo,
  ObjectStorage as ObjectStore,
  PutOptions,
  PutResult,
  RangeRequest,
  ReadOptions,
  SignOptions,
  StoredObject,
} from './object-storage.ts';
