/** The object store on a folder of this machine (or a shared POSIX file system): the embedded default. */
import { createHash, randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { Conflict, Unavailable } from '#domain';
import { dismiss, pour } from '../body.ts';
import { assertContentType, contentTypeOf } from '../content-types.ts';
import { assertKey, assertPrefix } from '../keys.ts';
import { assertSigning, signUrl, type UrlSigning } from '../sign.ts';
import type { ObjectBody, ObjectInfo, ObjectStore, PutOptions, PutResult, ReadOptions } from '../store.ts';
import { errnoOf, isMissing, onDisk, translate } from './faults.ts';
import { Folders } from './folders.ts';
import { openObject, readObject } from './reading.ts';
import { prepare, sweepStale } from './start.ts';
import { infoOf } from './stats.ts';
import { TempFile } from './temp-file.ts';
import { walk } from './walk.ts';

export interface DiskStoreOptions {
  /** Absolute path of the folder that is the store; made when missing. One file system, without mounts inside. */
  readonly root: string;
  readonly signing: UrlSigning;
  /** Age in milliseconds, since the last write, of temporary files that are swept at start; an hour if unset. */
  readonly staleAfterMs?: number;
}

/** No key starts with a dot, so what is in here can be neither read nor listed. */
const tempFolder = '.tmp';
const deletesAtOnce = 16;
/** How often a put makes its folder anew when another process removes it, empty, just before the rename. */
const publishTries = 10;

/** @throws Unavailable `storage_denied`, naming the folder, where it can't be made or written */
export async function createDiskStore(options: DiskStoreOptions): Promise<ObjectStore> {
  assertSigning(options.signing);
  const root = path.resolve(options.root);
  const temp = path.join(root, tempFolder);
  await prepare(root, temp);
  await sweepStale(temp, options.staleAfterMs ?? 3_600_000);
  return new DiskStore(root, temp, options.signing);
}

class DiskStore implements ObjectStore {
  readonly #root: string;
  readonly #temp: string;
  readonly #signing: UrlSigning;
  readonly #folders: Folders;

  constructor(root: string, temp: string, signing: UrlSigning) {
    this.#root = root;
    this.#temp = temp;
    this.#signing = signing;
    this.#folders = new Folders(root);
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
      const folder = this.#folders.ensure(path.dirname(target)).catch(() => undefined);
      const file = (temp = await onDisk(() => TempFile.create(this.#temp)));
      await pour(body, (chunk) => onDisk(() => file.write(chunk)), signal);
      await onDisk(() => file.seal());
      await folder;
      signal?.throwIfAborted();
      await onDisk(() => this.#publish(file, target, options));
      return { key, bytes: file.bytes, etag: file.etag };
    } catch (error) {
      dismiss(body);
      await temp?.discard();
      throw error;
    }
  }

  async get(key: string, options: ReadOptions = {}) {
    const file = this.#fileOf(key);
    return onDisk(() => openObject(file, key, options));
  }

  async read(key: string, options: ReadOptions = {}): Promise<Buffer> {
    const file = this.#fileOf(key);
    return onDisk(() => readObject(file, key, options));
  }

  async head(key: string) {
    const file = this.#fileOf(key);
    try {
      const stat = await fs.stat(file, { bigint: true });
      if (!stat.isFile()) return null;
      return { ...infoOf(key, stat), contentType: contentTypeOf(key) };
    } catch (error) {
      if (isMissing(error)) return null;
      throw translate(error);
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    const files = keys.map((key) => this.#fileOf(key));
    const folders = [...new Set(files.map((file) => path.dirname(file)))];
    await onDisk(async () => {
      await inTurns(files, (file) => fs.unlink(file).catch(unlessMissing));
      await inTurns(folders, (folder) => this.#folders.sync(folder).catch(unlessMissing));
      await inTurns(folders, (folder) => this.#folders.prune(folder));
    });
  }

  async *list(prefix: string, options: { after?: string } = {}): AsyncGenerator<ObjectInfo> {
    assertPrefix(prefix);
    try {
      yield* walk(this.#root, prefix, options.after ?? '');
    } catch (error) {
      throw translate(error);
    }
  }

  async signedUrl(key: string, options: Parameters<ObjectStore['signedUrl']>[1]): Promise<string> {
    return signUrl(this.#signing, key, options);
  }

  async probe(): Promise<void> {
    const content = Buffer.from(randomUUID());
    const target = path.join(this.#temp, `probe-${content.toString()}`);
    await onDisk(async () => {
      const file = await TempFile.create(this.#temp);
      try {
        await file.write(content);
        await file.seal();
        await file.replace(target);
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

  async sweep(olderThanMs: number): Promise<number> {
    return sweepStale(this.#temp, olderThanMs);
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
    for (let tries = 1; ; tries++) {
      try {
        await this.#folders.ensure(folder);
        await this.#takeKey(file, target, options);
        break;
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT' || tries === publishTries) throw error;
        this.#folders.forget(folder);
      }
    }
    await this.#folders.sync(folder);
  }

  #takeKey(file: TempFile, target: string, { ifNoneMatch, ifMatch }: PutOptions): Promise<void> {
    if (ifNoneMatch !== undefined) return file.createOnly(target);
    if (ifMatch === undefined) return file.replace(target);
    const lock = path.join(this.#temp, `lock-${createHash('sha256').update(target).digest('hex')}`);
    return file.replaceOnly(target, ifMatch, lock);
  }
}

function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

/** A few at a time: the thread pool that runs them is everybody's. */
async function inTurns<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += deletesAtOnce) {
    await Promise.all(items.slice(at, at + deletesAtOnce).map(run));
  }
}
