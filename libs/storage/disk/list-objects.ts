/** Lists objects in byte order of their keys. Memory use does not depend on the size of a folder. */
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
  /** How many names of a folder are sorted in memory. A folder with more names is read again for each page. */
  readonly pageSize: number;
}

/** @param after '' for all keys */
export async function* listObjects(
  root: string,
  prefix: string,
  after: string,
  pageSize = 20_000,
): AsyncGenerator<ObjectInfo> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  yield* listFolder({ root, prefix, after, pageSize }, folder);
}

/** @param folder the key prefix of the folder, with the last slash; '' for the root */
async function* listFolder(request: ListingRequest, folder: string): AsyncGenerator<ObjectInfo> {
  let names = await readPage(request, folder, '');
  while (names.length > 0) {
    for (let at = 0; at < names.length; at += statConcurrency) {
      const keys = names.slice(at, at + statConcurrency).map((name) => folder + name);
      const infos = await Promise.all(keys.map((key) => findObjectInfo(request.root, key)));
      for (const [index, key] of keys.entries()) {
        const info = infos[index];
        if (info) yield info;
        else if (key.endsWith('/')) yield* listFolder(request, key);
      }
    }
    names = names.length < request.pageSize ? [] : await readPage(request, folder, names.at(-1)!);
  }
}

/**
 * Returns the first names of a folder after `last` that may lead to a requested key, sorted. The name of a folder
 * includes its slash, so that names sort as keys do: `a-b` < `a/x` < `a0`.
 */
async function readPage(request: ListingRequest, folder: string, last: string): Promise<string[]> {
  let names: string[] = [];
  try {
    for await (const entry of await fs.opendir(path.join(request.root, folder), { bufferSize: 1024 })) {
      if (!isKeySegment(entry.name) || !(entry.isFile() || entry.isDirectory())) continue;
      const name = entry.isDirectory() ? `${entry.name}/` : entry.name;
      if (name > last && matchesRequest(request, folder + name)) names.push(name);
      if (names.length >= 2 * request.pageSize) names = takeFirst(names, request.pageSize);
    }
  } catch (error) {
    if (!isMissingError(error)) throw error;
  }
  return takeFirst(names, request.pageSize);
}

function takeFirst(names: string[], count: number): string[] {
  return names.sort((a, b) => (a < b ? -1 : 1)).slice(0, count);
}

function matchesRequest({ prefix, after }: ListingRequest, key: string): boolean {
  if (!key.endsWith('/')) return key.startsWith(prefix) && key > after;
  const leadsToPrefix = key.startsWith(prefix) || prefix.startsWith(key);
  return leadsToPrefix && (key > after || after.startsWith(key));
}

/** Returns null for a folder, and for a file that was deleted since its name was read. */
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
