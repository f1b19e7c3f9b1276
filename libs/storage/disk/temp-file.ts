/**
 * An object that is being put. It is written and synced under a temporary name on the same file system, then renamed to
 * its key in one atomic step. The order matters: fsync of the file, rename, fsync of the folder.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { sleep } from '#async';
import { etagDiffers, keyExists } from '../conditions.ts';
import { getErrno } from './disk-errors.ts';
import { buildEtag } from './object-info.ts';

/** Small chunks of a body are collected up to this size before they are written. */
const bufferBytes = 256 * 1024;
/** A lock is held for two system calls, some microseconds. A lock of this age belongs to a process that died. */
const staleLockMs = 10_000;

export class TempFile {
  readonly path: string;
  bytes = 0;
  etag = '';
  readonly #handle: FileHandle;
  #buffer: Buffer | null = null;
  #buffered = 0;
  #closed = false;

  private constructor(file: string, handle: FileHandle) {
    this.path = file;
    this.#handle = handle;
  }

  static async create(folder: string): Promise<TempFile> {
    const file = path.join(folder, randomUUID());
    return new TempFile(file, await fs.open(file, 'wx', 0o600));
  }

  /** Writes a chunk. The caller may reuse its memory once this resolves. */
  async write(chunk: Uint8Array): Promise<void> {
    const isLarge = chunk.length >= bufferBytes / 2;
    if (isLarge || this.#buffered + chunk.length > bufferBytes) await this.#flush();
    if (isLarge) return this.#writeAll(chunk);
    this.#buffer ??= Buffer.allocUnsafe(bufferBytes);
    this.#buffer.set(chunk, this.#buffered);
    this.#buffered += chunk.length;
  }

  /** Ends the writing: syncs the file and sets `etag`. */
  async finish(): Promise<void> {
    await this.#flush();
    const now = createUniqueTime();
    await this.#handle.utimes(now, now);
    const stat = await this.#handle.stat({ bigint: true });
    this.etag = buildEtag(stat);
    await this.#handle.sync();
    await this.#close();
  }

  /** Renames the file to `target` and replaces an existing object. */
  async publish(target: string): Promise<void> {
    await fs.rename(this.path, target);
  }

  /** Gives the file the name `target` only if it is free. Unlike `rename`, `link` fails atomically if it is not. */
  async publishIfAbsent(target: string): Promise<void> {
    try {
      await fs.link(this.path, target);
    } catch (error) {
      if (getErrno(error) === 'EEXIST') throw keyExists();
      throw error;
    }
    await fs.unlink(this.path).catch(() => undefined); // a second name of the object; cleanUpTempFiles removes it
  }

  /**
   * Renames the file to `target` only if the object there has this etag. No file system compares and renames in one
   * step, so a lock file protects both. They run synchronously, so that the lock is held for microseconds only. (A
   * process that is paused for 10 s between the two calls loses its lock.)
   */
  async publishIfMatch(target: string, etag: string, lock: string): Promise<void> {
    while (!tryLock(lock)) await sleep(1 + Math.random() * 4);
    try {
      const existing = statSync(target, { bigint: true, throwIfNoEntry: false });
      if (!existing?.isFile() || buildEtag(existing) !== etag) throw etagDiffers();
      renameSync(this.path, target);
    } finally {
      unlinkSync(lock);
    }
  }

  /** Deletes the file. Never throws, because it runs after another error. */
  async discard(): Promise<void> {
    await this.#close().catch(() => undefined);
    await fs.unlink(this.path).catch(() => undefined);
  }

  async #flush(): Promise<void> {
    if (this.#buffered === 0) return;
    const buffered = this.#buffer!.subarray(0, this.#buffered);
    this.#buffered = 0;
    await this.#writeAll(buffered);
  }

  /** One call may write only a part, for example if the disk is nearly full; the next call then fails. */
  async #writeAll(chunk: Uint8Array): Promise<void> {
    let done = 0;
    while (done < chunk.length) {
      const { bytesWritten } = await this.#handle.write(chunk, done, chunk.length - done);
      done += bytesWritten;
    }
    this.bytes += chunk.length;
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
  }
}

function tryLock(lock: string): boolean {
  try {
    closeSync(openSync(lock, 'wx', 0o600));
    return true;
  } catch (error) {
    if (getErrno(error) !== 'EEXIST') throw error;
  }
  const existing = statSync(lock, { throwIfNoEntry: false });
  if (existing && Date.now() - existing.mtimeMs > staleLockMs) unlinkSync(lock);
  return false;
}

let lastMicros = 0;

/**
 * A modification time that no other put of this process has. The kernel's clock advances only every few milliseconds and
 * inodes are reused at once, so without it the third of three puts of the same size within one step could get the etag
 * of the first. A double holds microseconds until the year 2242.
 */
function createUniqueTime(): number {
  lastMicros = Math.max(Date.now() * 1000, lastMicros + 1);
  return lastMicros / 1e6;
}
