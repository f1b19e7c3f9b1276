/** The conditions of a put, as both storages report them. */
import { Conflict } from '#domain';
import type { PutOptions } from './object-storage.ts';

/** `ifNoneMatch: '*'` does not hold. */
export function keyExists(cause?: unknown): Conflict {
  return new Conflict('An object with this key already exists.', { cause });
}

/** `ifMatch` does not hold. */
export function etagDiffers(cause?: unknown): Conflict {
  return new Conflict('The object does not have the etag of the condition.', { cause });
}

/** Both conditions at once can never hold. */
export function assertOneCondition({ ifNoneMatch, ifMatch }: PutOptions): void {
  if (ifNoneMatch !== undefined && ifMatch !== undefined) {
    throw new Conflict('The conditions ifNoneMatch and ifMatch exclude each other.');
  }
}
