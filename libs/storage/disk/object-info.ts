/** What is known of an object from one `stat`: nothing to store beside it, nothing to hash. */
import type { BigIntStats } from 'node:fs';
import type { ObjectInfo } from '../object-storage.ts';

/** Inode, size and time of writing (made unique when it was written), each in base 36. */
export function buildEtag({ ino, size, mtimeNs }: Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs'>): string {
  return `${ino.toString(36)}-${size.toString(36)}-${mtimeNs.toString(36)}`;
}

export function toObjectInfo(key: string, stat: BigIntStats): ObjectInfo {
  return { key, bytes: Number(stat.size), modifiedAt: new Date(Number(stat.mtimeMs)), etag: buildEtag(stat) };
}
