/** The object store on a folder of this machine (or a shared POSIX file system): the embedded default. */
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { Conflict, Unavailable } from '#domain';
import { closeBody, writeChunks } from '../body.ts';
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
  /** Absolute path of the folder that is the store; made when missing. One file system, without mounts inside. */
  readonly root: string;
  readonly signing: UrlSigningOptions;
  /** Age in milliseconds, since the last write, of temporary files that are swept at start; an hour if unset. */
  readonly staleAfterMs?: number;
}

/** No key starts with a dot, so what is in here can be neither read nor listed. */
const tempFolder = '.tmp';
const deleteConcurrency = 16;
/** How often a put makes its folder anew when another process removes it, empty, just before the rename. */
const maxPublishAttempts = 10;

/** @throws Unavailable `storage_denied`, naming the folder, where it can't be made or written */
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
      const target = this.#fileOf(key);
      assertContentType(key, options.contentType);
      signal?.throwIfAborted();
      await this.#refuseEarly(key, options);
      // Made durable beside the bytes, which take as long; whatever goes wrong with it is met again at the end.
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
    const file = this.#fileOf(key);
    return runOnDisk(() => openObject(file, key, options));
  }

  async read(key: string, options: ReadOptions = {}): Promise<Buffer> {
    const file = this.#fileOf(key);
    return runOnDisk(() => readObject(file, key, options));
  }

  async head(key: string) {
    const file = this.#fileOf(key);
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
    const files = keys.map((key) => this.#fileOf(key));
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
          throw new Unavailable('The object store read back other bytes than were written.', {
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

  /** Nothing is held between calls: a stream that is still read ends by itself. */
  async close(): Promise<void> {}

  #fileOf(key: string): string {
    assertKey(key);
    return path.join(this.#root, key);
  }

  /** Spares the writing of what would be refused in the end; what decides is the publishing itself. */
  async #refuseEarly(key: string, { ifNoneMatch, ifMatch }: PutOptions): Promise<void> {
    if (ifNoneMatch === undefined && ifMatch === undefined) return;
    if (ifNoneMatch !== undefined && ifMatch !== undefined)
      throw new Conflict('These two conditions exclude each other.');
    const held = await this.head(key);
    if (ifNoneMatch !== undefined && held) throw new Conflict('There is an object with this key already.');
    if (ifMatch !== undefined && held?.etag !== ifMatch) {
      throw new Conflict('The object is not the one that the condition names.');
    }
  }

  async #publish(file: TempFile, target: string, options: PutOptions): Promise<void> {
    const folder = path.dirname(target);
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#folders.create(folder);
        await this.#takeKey(file, target, options);
        break;
      } catch (error) {
        if (getErrno(error) !== 'ENOENT' || attempt === maxPublishAttempts) throw error;
        this.#folders.invalidate(folder);
      }
    }
    await this.#folders.sync(folder);
  }

  #takeKey(file: TempFile, target: string, { ifNoneMatch, ifMatch }: PutOptions): Promise<void> {
    if (ifNoneMatch !== undefined) return file.publishIfAbsent(target);
    if (ifMatch === undefined) return file.publish(target);
    const lock = path.join(this.#temp, `lock-${createHash('sha256').update(target).digest('hex')}`);
    return file.publishIfMatch(target, ifMatch, lock);
  }
}

function ignoreMissing(error: unknown): void {
  if (!isMissingError(error)) throw error;
}

/** A few at a time: the thread pool that runs them is everybody's. */
async function runInBatches<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += deleteConcurrency) {
    await Promise.all(items.slice(at, at + deleteConcurrency).map(run));
  }
}
