/** The object storage in a folder of this machine or of a shared POSIX file system. The default. */
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { Unavailable } from '#domain';
import { closeBody, writeChunks } from '../body.ts';
import { assertOneCondition, etagDiffers, keyExists } from '../conditions.ts';
import { assertContentType, getContentType } from '../content-types.ts';
import { assertKey, assertPrefix } from '../keys.ts';
import { assertSigningOptions, signUrl, type UrlSigningOptions } from '../signed-urls.ts';
import type {
  ObjectBody,
  ObjectInfo,
  ObjectStorage,
  PutOptions,
  PutResult,
  ReadOptions,
} from '../object-storage.ts';
import { getErrno, isMissingError, runOnDisk, toStorageError } from './disk-errors.ts';
import { DurableFolders } from './durable-folders.ts';
import { openObject, readObject } from './read-object.ts';
import { prepareFolders, cleanUpTempFiles } from './prepare-folders.ts';
import { toObjectInfo } from './object-info.ts';
import { TempFile } from './temp-file.ts';
import { listObjects } from './list-objects.ts';

export interface DiskStorageOptions {
  /** The folder of the objects; created if missing. It must be one file system, without mounts inside. */
  readonly root: string;
  readonly signing: UrlSigningOptions;
  /** Temporary files that were last written longer ago than this, in milliseconds, are deleted at start. @default 1 hour */
  readonly staleAfterMs?: number;
}

/** No key starts with a dot, so files in this folder can't be read or listed. */
const tempFolder = '.tmp';
const deleteConcurrency = 16;
/** How often a put creates its folder again after another process has removed it, empty, just before the rename. */
const maxPublishAttempts = 10;

/** @throws Unavailable `storage_denied`, with the path of the folder, if it can't be created or written. */
export async function createDiskStorage(options: DiskStorageOptions): Promise<ObjectStorage> {
  assertSigningOptions(options.signing);
  const root = path.resolve(options.root);
  const temp = path.join(root, tempFolder);
  await prepareFolders(root, temp);
  await cleanUpTempFiles(temp, options.staleAfterMs ?? 3_600_000);
  return new DiskStorage(root, temp, options.signing);
}

class DiskStorage implements ObjectStorage {
  readonly #root: string;
  readonly #temp: string;
  readonly #signing: UrlSigningOptions;
  readonly #folders: DurableFolders;

  constructor(root: string, temp: string, signing: UrlSigningOptions) {
    this.#root = root;
    this.#temp = temp;
    this.#signing = signing;
    this.#folders = new DurableFolders(root);
  }

  async put(key: string, body: ObjectBody, options: PutOptions = {}): Promise<PutResult> {
    const { signal } = options;
    let temp: TempFile | undefined;
    try {
      const target = this.#resolvePath(key);
      assertContentType(key, options.contentType);
      signal?.throwIfAborted();
      await this.#assertConditionHolds(key, options);
      // Synced while the bytes are written, which takes as long. `#publish` repeats it and throws its errors.
      const folder = this.#folders.create(path.dirname(target)).catch(() => undefined);
      const file = (temp = await runOnDisk(() => TempFile.create(this.#temp)));
      await writeChunks(body, (chunk) => runOnDisk(() => file.write(chunk)), signal);
      await runOnDisk(() => file.finish());
      await folder;
      signal?.throwIfAborted();
      await runOnDisk(() => this.#publish(file, target, options));
      return { key, bytes: file.bytes, etag: file.etag };
    } catch (error) {
      closeBody(body);
      await temp?.discard();
      throw error;
    }
  }

  async get(key: string, options: ReadOptions = {}) {
    const file = this.#resolvePath(key);
    return runOnDisk(() => openObject(file, key, options));
  }

  async read(key: string, options: ReadOptions = {}): Promise<Buffer> {
    const file = this.#resolvePath(key);
    return runOnDisk(() => readObject(file, key, options));
  }

  async head(key: string) {
    const file = this.#resolvePath(key);
    try {
      const stat = await fs.stat(file, { bigint: true });
      if (!stat.isFile()) return null;
      return { ...toObjectInfo(key, stat), contentType: getContentType(key) };
    } catch (error) {
      if (isMissingError(error)) return null;
      throw toStorageError(error);
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    const files = keys.map((key) => this.#resolvePath(key));
    const folders = [...new Set(files.map((file) => path.dirname(file)))];
    await runOnDisk(async () => {
      await runInBatches(files, (file) => fs.unlink(file).catch(ignoreMissing));
      await runInBatches(folders, (folder) => this.#folders.sync(folder).catch(ignoreMissing));
      await runInBatches(folders, (folder) => this.#folders.removeEmpty(folder));
    });
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<ObjectInfo> {
    assertPrefix(prefix);
    try {
      yield* listObjects(this.#root, prefix, options.after ?? '');
    } catch (error) {
      throw toStorageError(error);
    }
  }

  async signedUrl(key: string, options: Parameters<ObjectStorage['signedUrl']>[1]): Promise<string> {
    return signUrl(this.#signing, key, options);
  }

  async probe(): Promise<void> {
    const content = Buffer.from(randomUUID());
    const target = path.join(this.#temp, `probe-${content.toString()}`);
    await runOnDisk(async () => {
      const file = await TempFile.create(this.#temp);
      try {
        await file.write(content);
        await file.finish();
        await file.publish(target);
        if (!content.equals(await fs.readFile(target))) {
          throw new Unavailable('The object storage returned other bytes than were written.', {
            code: 'storage_failed',
          });
        }
      } finally {
        await file.discard();
        await fs.unlink(target).catch(() => undefined);
      }
    });
  }

  async cleanUpUnfinished(olderThanMs: number): Promise<number> {
    return cleanUpTempFiles(this.#temp, olderThanMs);
  }

  /** Nothing is open between calls. A stream that is being read can be read to its end. */
  async close(): Promise<void> {}

  #resolvePath(key: string): string {
    assertKey(key);
    return path.join(this.#root, key);
  }

  /** Rejects a put early, before its body is written. The decision is made again, atomically, when it is published. */
  async #assertConditionHolds(key: string, options: PutOptions): Promise<void> {
    const { ifNoneMatch, ifMatch } = options;
    if (ifNoneMatch === undefined && ifMatch === undefined) return;
    assertOneCondition(options);
    const existing = await this.head(key);
    if (ifNoneMatch !== undefined && existing) throw keyExists();
    if (ifMatch !== undefined && existing?.etag !== ifMatch) throw etagDiffers();
  }

  async #publish(file: TempFile, target: string, options: PutOptions): Promise<void> {
    const folder = path.dirname(target);
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#folders.create(folder);
        await this.#publishWithCondition(file, target, options);
        break;
      } catch (error) {
        if (getErrno(error) !== 'ENOENT' || attempt === maxPublishAttempts) throw error;
        this.#folders.invalidate(folder);
      }
    }
    await this.#folders.sync(folder);
  }

  #publishWithCondition(file: TempFile, target: string, { ifNoneMatch, ifMatch }: PutOptions): Promise<void> {
    if (ifNoneMatch !== undefined) return file.publishIfAbsent(target);
    if (ifMatch === undefined) return file.publish(target);
    const lock = path.join(this.#temp, `lock-${createHash('sha256').update(target).digest('hex')}`);
    return file.publishIfMatch(target, ifMatch, lock);
  }
}

function ignoreMissing(error: unknown): void {
  if (!isMissingError(error)) throw error;
}

/** Limits the calls at a time, because the whole process shares the thread pool that runs them. */
async function runInBatches<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += deleteConcurrency) {
    await Promise.all(items.slice(at, at + deleteConcurrency).map(run));
  }
}
