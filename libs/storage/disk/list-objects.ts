/**
 * Listing: a walk through the folders in the order of the keys' bytes, in memory that no folder's size changes.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { isKeySegment } from '../keys.ts';
import type { ObjectInfo } from '../object-storage.ts';
import { isMissingError } from './disk-errors.ts';
import { toObjectInfo } from './object-info.ts';

const statConcurrency = 32;

interface ListingRequest {
  readonly root: string;
  readonly prefix: string;
  readonly after: string;
  /** Names of one folder held and sorted at once; a folder of more is read again for each further page. */
  readonly pageSize: number;
}

/** @param after '' to begin with the first key */
export async function* listObjects(
  root: string,
  prefix: string,
  after: string,
  pageSize = 20_000,
): AsyncGenerator<ObjectInfo> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  yield* listFolder({ root, prefix, after, pageSize }, folder);
}

/** @param folder key of the folder with its last slash; '' for the root */
async function* listFolder(deps: ListingRequest, folder: string): AsyncGenerator<ObjectInfo> {
  let names = await readPage(deps, folder, '');
  while (names.length > 0) {
    for (let at = 0; at < names.length; at += statConcurrency) {
      const some = names.slice(at, at + statConcurrency).map((name) => folder + name);
      const infos = await Promise.all(some.map((key) => findObjectInfo(deps.root, key)));
      for (const [index, key] of some.entries()) {
        const info = infos[index];
        if (info) yield info;
        else if (key.endsWith('/')) yield* listFolder(deps, key);
      }
    }
    names = names.length < deps.pageSize ? [] : await readPage(deps, folder, names.at(-1)!);
  }
}

/**
 * The first names of a folder that come after `last` and may lead to a wanted key, sorted. A folder's name
 * carries its slash, as it does in keys: `a-b` < `a/x` < `a0`, which names alone would put in another order.
 */
async function readPage(deps: ListingRequest, folder: string, last: string): Promise<string[]> {
  let names: string[] = [];
  try {
    for await (const entry of await fs.opendir(path.join(deps.root, folder), { bufferSize: 1024 })) {
      if (!isKeySegment(entry.name) || !(entry.isFile() || entry.isDirectory())) continue;
      const name = entry.isDirectory() ? `${entry.name}/` : entry.name;
      if (name > last && matchesRequest(deps, folder + name)) names.push(name);
      if (names.length >= 2 * deps.pageSize) names = takeFirst(names, deps.pageSize);
    }
  } catch (error) {
    if (!isMissingError(error)) throw error;
  }
  return takeFirst(names, deps.pageSize);
}

function takeFirst(names: string[], count: number): string[] {
  return names.sort((a, b) => (a < b ? -1 : 1)).slice(0, count);
}

function matchesRequest({ prefix, after }: ListingRequest, key: string): boolean {
  if (!key.endsWith('/')) return key.startsWith(prefix) && key > after;
  const leadsToPrefix = key.startsWith(prefix) || prefix.startsWith(key);
  return leadsToPrefix && (key > after || after.startsWith(key));
}

/** Null for a folder, and for what has gone since it was named. */
async function findObjectInfo(root: string, key: string): Promise<ObjectInfo | null> {
  if (key.endsWith('/')) return null;
  try {
    const stat = await fs.stat(path.join(root, key), { bigint: true });
    return stat.isFile() ? toObjectInfo(key, stat) : null;
  } catch (error) {
    if (isMissingError(error)) return null;
    throw error;
  }
}
