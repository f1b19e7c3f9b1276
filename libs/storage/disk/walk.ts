/**
 * Listing: a walk through the folders in the order of the keys' bytes, in memory that no folder's size changes.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { isKeySegment } from '../keys.ts';
import type { ObjectInfo } from '../store.ts';
import { isMissing } from './faults.ts';
import { infoOf } from './stats.ts';

const statsAtOnce = 32;

interface Walk {
  readonly root: string;
  readonly prefix: string;
  readonly after: string;
  /** Names of one folder held and sorted at once; a folder of more is read again for each further page. */
  readonly pageNames: number;
}

/** @param after '' to begin with the first key */
export async function* walk(
  root: string,
  prefix: string,
  after: string,
  pageNames = 20_000,
): AsyncGenerator<ObjectInfo> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  yield* walkFolder({ root, prefix, after, pageNames }, folder);
}

/** @param folder key of the folder with its last slash; '' for the root */
async function* walkFolder(on: Walk, folder: string): AsyncGenerator<ObjectInfo> {
  let names = await page(on, folder, '');
  while (names.length > 0) {
    for (let at = 0; at < names.length; at += statsAtOnce) {
      const some = names.slice(at, at + statsAtOnce).map((name) => folder + name);
      const infos = await Promise.all(some.map((key) => inspect(on.root, key)));
      for (const [index, key] of some.entries()) {
        const info = infos[index];
        if (info) yield info;
        else if (key.endsWith('/')) yield* walkFolder(on, key);
      }
    }
    names = names.length < on.pageNames ? [] : await page(on, folder, names.at(-1)!);
  }
}

/**
 * The first names of a folder that come after `last` and may lead to a wanted key, sorted. A folder's name
 * carries its slash, as it does in keys: `a-b` < `a/x` < `a0`, which names alone would put in another order.
 */
async function page(on: Walk, folder: string, last: string): Promise<string[]> {
  let names: string[] = [];
  try {
    for await (const entry of await fs.opendir(path.join(on.root, folder), { bufferSize: 1024 })) {
      if (!isKeySegment(entry.name) || !(entry.isFile() || entry.isDirectory())) continue;
      const name = entry.isDirectory() ? `${entry.name}/` : entry.name;
      if (name > last && isWanted(on, folder + name)) names.push(name);
      if (names.length >= 2 * on.pageNames) names = first(names, on.pageNames);
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return first(names, on.pageNames);
}

function first(names: string[], count: number): string[] {
  return names.sort((a, b) => (a < b ? -1 : 1)).slice(0, count);
}

function isWanted({ prefix, after }: Walk, key: string): boolean {
  if (!key.endsWith('/')) return key.startsWith(prefix) && key > after;
  const leadsToPrefix = key.startsWith(prefix) || prefix.startsWith(key);
  return leadsToPrefix && (key > after || after.startsWith(key));
}

/** Null for a folder, and for what has gone since it was named. */
async function inspect(root: string, key: string): Promise<ObjectInfo | null> {
  if (key.endsWith('/')) return null;
  try {
    const stat = await fs.stat(path.join(root, key), { bigint: true });
    return stat.isFile() ? infoOf(key, stat) : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
