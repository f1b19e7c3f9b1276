export { createDiskStorage, type DiskStorageOptions } from './disk/disk-storage.ts';
export { createObjectStorage, type ObjectStorageOptions } from './create-object-storage.ts';
export { buildContentDisposition } from './content-disposition.ts';
export { findDamaged } from './find-damaged.ts';
export { SegmentDamaged } from './errors.ts';
export { readSegments, type Segment } from './segments.ts';
export {
  signUrl,
  verifySignedUrl,
  type SignedUrlGrant,
  type SignedUrlRequest,
  type UrlSigningOptions,
} from './signed-urls.ts';
export type { S3StorageOptions } from './s3/options.ts';
export type {
  ByteRange,
  ComposeSource,
  ObjectBody,
  ObjectInfo,
  ObjectStorage,
  PutOptions,
  PutResult,
  RangeRequest,
  ReadOptions,
  SignOptions,
  StoredObject,
} from './object-storage.ts';
