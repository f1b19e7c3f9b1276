/**
 * Composes the segments of a finished batch's output into one object, where object storage can do that by itself:
 * fewer objects to list, copy and delete, and one address for readers that do not use the API. Nothing waits for it: a
 * file reads the same before and after.
 *
 * It composes, replaces the list of segments in one statement, and deletes the old objects later. After a crash in
 * between, garbage collection deletes the unused object, and the next run composes again under another key. Readers of
 * the old list have `graceS` seconds to finish.
 */
import { randomUUID } from 'node:crypto';
import type { CompositionStore } from '#database';
import { SegmentDamaged, type ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';

export interface ComposeOptions {
  readonly compositions: CompositionStore;
  readonly objects: Pick<ObjectStorage, 'delete'> & Required<Pick<ObjectStorage, 'compose'>>;
  /** Seconds for which the old objects stay. */
  readonly graceS: number;
  readonly log: Logger;
}

/** Composes files until there is none left. */
export type ComposeOutputs = () => Promise<void>;
export const COMPOSE_OUTPUTS = Symbol('compose outputs');

export interface ComposeOutputsDeps {
  readonly compositions: CompositionStore;
  readonly objects: ObjectStorage;
  readonly log: Logger;
}

/** How long the old segments of a composed file stay for their readers. */
const graceS = 3_600;

/**
 * @returns null for object storage without `compose`. A disk has none: it would write all bytes a second time, and a
 *   list of files reads as fast as one.
 */
export function composeOutputsWith({
  compositions,
  objects,
  log,
}: ComposeOutputsDeps): ComposeOutputs | null {
  const compose = objects.compose?.bind(objects);
  if (!compose) return null;
  const options: ComposeOptions = {
    compositions,
    objects: { compose, delete: (keys) => objects.delete(keys) },
    graceS,
    log,
  };
  return async () => {
    while (await composeNextFile(options));
  };
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
    // A reader of the file gets the error. Here it must not block the other files.
    if (!(error instanceof SegmentDamaged)) throw error;
    log.error({ err: error, fileId }, 'a file cannot be composed');
    await compositions.defer(fileId);
  }
  return true;
}
