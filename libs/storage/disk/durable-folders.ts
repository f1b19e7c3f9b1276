/**
 * The folders of the keys. They are created durably, from the root down, before a file gets a name in them; puts that
 * finish at the same time share one sync; empty folders are removed.
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
  /** Inode of each folder whose entry in its parent is known to be on disk. */
  readonly #durable = new Map<string, bigint>();
  readonly #syncs = new Map<string, FolderSyncs>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Creates `folder` and its missing parents, and syncs the parent of each. */
  async create(folder: string): Promise<void> {
    if (folder === this.#root || this.#durable.has(folder)) return;
    const parent = path.dirname(folder);
    await this.create(parent);
    await fs.mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
      if (getErrno(error) !== 'EEXIST') throw error;
    });
    // Also for an existing folder: the process that created it may have died before the sync.
    await this.#syncSoon(parent);
    const { ino } = await fs.stat(folder, { bigint: true });
    this.#durable.set(folder, ino);
  }

  /** Forgets a folder and its parents, so that they are created again: another process may have removed them, empty. */
  invalidate(folder: string): void {
    for (let at = folder; at.length > this.#root.length; at = path.dirname(at)) this.#durable.delete(at);
  }

  /**
   * Makes the entries that were added to or removed from `folder` before this call survive a power failure. Callers
   * that arrive while a sync runs share the next one.
   */
  async sync(folder: string): Promise<void> {
    try {
      await this.#syncSoon(folder);
    } catch (error) {
      if (getErrno(error) === 'ENOENT') return; // removed meanwhile, so it has no entries to sync
      throw error;
    }
    if (folder === this.#root) return;
    const { ino } = await fs.stat(folder, { bigint: true });
    if (this.#durable.get(folder) === ino) return;
    // Another process removed and created the folder again; its own entry may not be on disk yet.
    this.invalidate(folder);
    await this.create(folder);
  }

  /** Removes `folder` and its parents as far as they are empty. A concurrent put creates them again. */
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
