export { createDiskStore, type DiskStoreOptions } from './disk/disk-store.ts';
export { createStore, type StoreOptions } from './create-store.ts';
export { findDamaged } from './damaged.ts';
export { SegmentDamaged } from './errors.ts';
export { readSegments, type Segment } from './segments.ts';
export { signUrl, verifySignedUrl, type SignedGrant, type SignedRequest, type UrlSigning } from './sign.ts';
export type { S3StoreOptions } from './s3/options.ts';
export type {
  ByteRange,
  ComposeSource,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  PutResult,
  RangeRequest,
  ReadOptions,
  SignOptions,
  StoredObject,
} from './store.ts';
