/** Derives the etag and the info of an object from one `stat`: nothing is stored beside it and nothing is hashed. */
import type { BigIntStats } from 'node:fs';
import type { ObjectInfo } from '../object-storage.ts';

/** Inode, size and modification time (which each put makes unique), in base 36. */
export function buildEtag({ ino, size, mtimeNs }: Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs'>): string {
  return `${ino.toString(36)}-${size.toString(36)}-${mtimeNs.toString(36)}`;
}

export function toObjectInfo(key: string, stat: BigIntStats): ObjectInfo {
  return { key, bytes: Number(stat.size), modifiedAt: new Date(Number(stat.mtimeMs)), etag: buildEtag(stat) };
}
