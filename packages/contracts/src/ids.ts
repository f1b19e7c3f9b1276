/** Ids: a prefix that says what the thing is, and a UUIDv7 in hex, so that ids sort by creation time. */
import { v7 } from 'uuid';
import { z } from 'zod';

export const idPrefixes = {
  workspace: 'ws',
  user: 'user',
  apiKey: 'key',
  file: 'file',
  upload: 'upload',
  part: 'part',
  batch: 'batch',
  task: 'task',
  worker: 'worker',
  event: 'evt',
  endpoint: 'we',
  delivery: 'del',
  request: 'req',
} as const;

export type IdOf = keyof typeof idPrefixes;

export function newId(of: IdOf): string {
  return `${idPrefixes[of]}_${v7().replaceAll('-', '')}`;
}

/** Accepts ids as `newId` makes them, and nothing that could be a path, a wildcard or a queue separator. */
export const idSchema = (of: IdOf) => z.string().regex(new RegExp(`^${idPrefixes[of]}_[0-9a-f]{32}$`));
