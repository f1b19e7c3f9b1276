/**
 * Makes one object of the many that a finished batch's output is, where the store can do that itself: fewer objects to
 * list, copy and delete, and one address for a reader who goes around the API. Nothing waits for it: a file reads the
 * same before and after.
 *
 * Compose, swap the list in one statement, delete the old objects later: whoever dies in between leaves an object that
 * the collection of garbage finds, and the next one begins anew under another key. Readers that were given the old
 * list have `graceS` to come to its end.
 */
import { randomUUID } from 'node:crypto';
import type { CompositionStore } from '#database';
import { SegmentDamaged, type ObjectStore } from '#storage';
import type { Logger } from '#telemetry';

export interface ComposeOptions {
  readonly compositions: CompositionStore;
  readonly objects: Pick<ObjectStore, 'delete'> & Required<Pick<ObjectStore, 'compose'>>;
  /** Seconds for which the old objects stay. */
  readonly graceS: number;
  readonly log: Logger;
}

/** One file. @returns whether there was one to compose. */
export async function composeNextFile(deps: ComposeOptions): Promise<boolean> {
  const { compositions, objects, log } = deps;
  const next = await compositions.findNext();
  if (!next) return false;
  const { fileId, segments } = next;
  // Gzip members one after the other are a gzip file: what the segments are, their whole is.
  const [, folder, name] = /^(.*\/)([^/]*)$/.exec(segments[0]!.key)!;
  const key = `${folder}composed-${randomUUID()}${name!.slice(name!.indexOf('.'))}`;
  try {
    const { bytes } = await objects.compose(segments, key);
    if (await compositions.replaceSegments(fileId, { key, bytes }, deps.graceS)) {
      log.info({ fileId, objects: segments.length, bytes }, 'composed a file into one object');
    } else {
      await objects.delete([key]);
    }
  } catch (error) {
    // Whoever reads the file is told; here it must not keep the others from their turn.
    if (!(error instanceof SegmentDamaged)) throw error;
    log.error({ err: error, fileId }, 'a file can not be composed');
    await compositions.defer(fileId);
  }
  return true;
}
