/** Ids: a prefix for the type of the resource, and a UUIDv7 in hex, so that ids sort by creation time. */
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
  webhookEndpoint: 'we',
  delivery: 'del',
  request: 'req',
} as const;

export type IdType = keyof typeof idPrefixes;

export function createId(type: IdType): string {
  return `${idPrefixes[type]}_${v7().replaceAll('-', '')}`;
}

/** Accepts only ids in `createId`'s form, so that an id is never a path, a wildcard or a queue separator. */
export const idSchema = (type: IdType) => z.string().regex(new RegExp(`^${idPrefixes[type]}_[0-9a-f]{32}$`));
