/**
 * An object on its way: written under a temporary name on the same file system, made durable there, and only
 * then given its key in one atomic step (so order matters: fsync of the file, rename, fsync of the folder).
 */
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Conflict } from '#domain';
import { getErrno } from './disk-errors.ts';
import { buildEtag } from './object-info.ts';

/** Small chunks of a body are gathered up to this before they cost a system call. */
const bufferBytes = 256 * 1024;
/** A lock is held for the microseconds of two system calls; one this old was left by a process that died. */
const staleLockMs = 10_000;

export class TempFile {
  readonly path: string;
  bytes = 0;
  etag = '';
  readonly #handle: FileHandle;
  #staging: Buffer | null = null;
  #staged = 0;
  #closed = false;

  private constructor(file: string, handle: FileHandle) {
    this.path = file;
    this.#handle = handle;
  }

  static async create(folder: string): Promise<TempFile> {
    const file = path.join(folder, randomUUID());
    return new TempFile(file, await fs.open(file, 'wx', 0o600));
  }

  /** Takes a chunk; the caller may use its memory again once this resolves. */
  async write(chunk: Uint8Array): Promise<void> {
    const isLarge = chunk.length >= bufferBytes / 2;
    if (isLarge || this.#staged + chunk.length > bufferBytes) await this.#flush();
    if (isLarge) return this.#writeAll(chunk);
    this.#staging ??= Buffer.allocUnsafe(bufferBytes);
    this.#staging.set(chunk, this.#staged);
    this.#staged += chunk.length;
  }

  /** Ends the writing: everything is on the disk itself, and the etag is known. */
  async finish(): Promise<void> {
    await this.#flush();
    const now = createUniqueTime();
    await this.#handle.utimes(now, now);
    const stat = await this.#handle.stat({ bigint: true });
    this.etag = buildEtag(stat);
    await this.#handle.sync();
    await this.#close();
  }

  /** Takes the key whatever holds it. */
  async publish(target: string): Promise<void> {
    await fs.rename(this.path, target);
  }

  /** Takes the key only if it is free: unlike `rename`, `link` fails where something is, in one atomic step. */
  async publishIfAbsent(target: string): Promise<void> {
    try {
      await fs.link(this.path, target);
    } catch (error) {
      if (getErrno(error) === 'EEXIST') throw new Conflict('There is an object with this key already.');
      throw error;
    }
    await fs.unlink(this.path).catch(() => undefined); // a second name of what is now in place: the sweep's
  }

  /**
   * Takes the key only if what holds it has this etag. No file system compares and renames in one step, so a
   * lock file stands around the two; they run synchronously, so that nothing of this process comes between and
   * the lock is held for microseconds. (A process stopped for 10 s between those two calls loses its lock.)
   */
  async publishIfMatch(target: string, etag: string, lock: string): Promise<void> {
    while (!tryLock(lock)) await sleep(1 + Math.random() * 4);
    try {
      const held = statSync(target, { bigint: true, throwIfNoEntry: false });
      if (!held?.isFile() || buildEtag(held) !== etag) {
        throw new Conflict('The object is not the one that the condition names.');
      }
      renameSync(this.path, target);
    } finally {
      unlinkSync(lock);
    }
  }

  /** Leaves nothing; never throws, as it runs where something else already went wrong. */
  async discard(): Promise<void> {
    await this.#close().catch(() => undefined);
    await fs.unlink(this.path).catch(() => undefined);
  }

  async #flush(): Promise<void> {
    if (this.#staged === 0) return;
    const staged = this.#staging!.subarray(0, this.#staged);
    this.#staged = 0;
    await this.#writeAll(staged);
  }

  /** A disk that is nearly full takes part of a write and says no only to the rest. */
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
  const held = statSync(lock, { throwIfNoEntry: false });
  if (held && Date.now() - held.mtimeMs > staleLockMs) unlinkSync(lock);
  return false;
}

let lastMicros = 0;

/**
 * A modification time that no other put of this process has. The kernel's own ticks once in some milliseconds,
 * and inodes are reused at once: three puts of the same size within a tick could otherwise end on the first one's
 * etag. A double holds microseconds until the year 2242.
 */
function createUniqueTime(): number {
  lastMicros = Math.max(Date.now() * 1000, lastMicros + 1);
  return lastMicros / 1e6;
}
