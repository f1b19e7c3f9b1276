/**
 * Chunks whose lines have run, on their way into the store and the database. Their slots have the next chunk meanwhile:
 * for a small chunk storing takes longer than its lines did, and a device must not wait for a disk.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { Interrupted } from '#queues';

/** A worker that leaves waits so long; what is not stored by then is run again by others. */
const leavingMs = 2_000;

export class CommitQueue {
  private readonly underWay = new Set<Promise<void>>();
  private readonly over = new AbortController();
  /** Aborted when the worker can wait no longer. */
  readonly signal = this.over.signal;

  /** @param most at once: whoever brings more keeps its slot until there is room, since all of it is in memory. */
  constructor(private readonly most: number) {}

  /** @param work reports its own failures. @returns once it has begun. */
  async add(work: () => Promise<void>): Promise<void> {
    while (this.underWay.size >= this.most) await Promise.race(this.underWay);
    const begun = work().finally(() => this.underWay.delete(begun));
    this.underWay.add(begun);
  }

  async drain(): Promise<void> {
    await Promise.race([Promise.all(this.underWay), wait(leavingMs, undefined, { ref: false })]);
    this.over.abort(new Interrupted('draining'));
  }
}
