/**
 * The folders that keys live in: made durable from the root down before a file is named in them, synced once for
 * many puts that finish together, and removed when they are empty.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { getErrno } from './disk-errors.ts';

interface FolderSyncs {
  running: Promise<void>;
  next: Promise<void> | null;
}

export class DurableFolders {
  readonly #root: string;
  /** Inode of each folder whose own entry is known to be on disk. */
  readonly #durable = new Map<string, bigint>();
  readonly #syncs = new Map<string, FolderSyncs>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes `folder` and what is missing above it, each named durably in its parent. */
  async create(folder: string): Promise<void> {
    if (folder === this.#root || this.#durable.has(folder)) return;
    const parent = path.dirname(folder);
    await this.create(parent);
    await fs.mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
      if (getErrno(error) !== 'EEXIST') throw error;
    });
    // Even when it was there: whoever made it may have died before the sync.
    await this.#syncSoon(parent);
    const { ino } = await fs.stat(folder, { bigint: true });
    this.#durable.set(folder, ino);
  }

  /** Another process may have removed a folder that was empty: forget it and all above it, to be made again. */
  invalidate(folder: string): void {
    for (let at = folder; at.length > this.#root.length; at = path.dirname(at)) this.#durable.delete(at);
  }

  /**
   * Makes what was named in (or removed from) `folder` before this call survive a power cut. Callers that arrive
   * while a sync runs share the next one.
   */
  async sync(folder: string): Promise<void> {
    try {
      await this.#syncSoon(folder);
    } catch (error) {
      if (getErrno(error) === 'ENOENT') return; // emptied and pruned meanwhile: nothing is named in it any more
      throw error;
    }
    if (folder === this.#root) return;
    const { ino } = await fs.stat(folder, { bigint: true });
    if (this.#durable.get(folder) === ino) return;
    // Removed and made again by another process, perhaps a moment ago: its own name is not yet durable for us.
    this.invalidate(folder);
    await this.create(folder);
  }

  /** Removes `folder` and the ones above it as far as they are empty; a put that meets this makes them again. */
  async removeEmpty(folder: string): Promise<void> {
    for (let at = folder; at.length > this.#root.length; at = path.dirname(at)) {
      this.#durable.delete(at);
      try {
        await fs.rmdir(at);
      } catch {
        return;
      }
    }
  }

  #syncSoon(folder: string): Promise<void> {
    const syncs = this.#syncs.get(folder);
    if (!syncs) {
      const first = { running: this.#run(folder), next: null };
      this.#syncs.set(folder, first);
      return first.running;
    }
    syncs.next ??= syncs.running
      .catch(() => undefined)
      .then(() => {
        const following = { running: this.#run(folder), next: null };
        this.#syncs.set(folder, following);
        return following.running;
      });
    return syncs.next;
  }

  async #run(folder: string): Promise<void> {
    try {
      const handle = await fs.open(folder, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    } finally {
      if (!this.#syncs.get(folder)?.next) this.#syncs.delete(folder);
    }
  }
}
