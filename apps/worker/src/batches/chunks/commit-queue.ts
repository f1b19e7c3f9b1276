/**
 * Stores and commits chunks whose lines have run, while their slots run the next chunks: storing a small chunk takes
 * longer than running its lines, and a device must not wait for a disk.
 */
import { waitAtMost } from '#async';
import { JobInterrupted } from '#queues';

/** How long a stopping worker waits for commits. Chunks that are not committed by then are run again elsewhere. */
const drainMs = 2_000;

export class CommitQueue {
  private readonly pending = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  /** Aborted when the worker stops waiting for commits. */
  readonly signal = this.stopping.signal;

  /** @param maxPending commits at once. Chunks that wait for a commit are held in memory, so more must keep their slot. */
  constructor(private readonly maxPending: number) {}

  /** @param commit must not reject. @returns once it has started. */
  async add(commit: () => Promise<void>): Promise<void> {
    while (this.pending.size >= this.maxPending) await Promise.race(this.pending);
    const started = commit().finally(() => this.pending.delete(started));
    this.pending.add(started);
  }

  /** Waits up to two seconds for the pending commits, then aborts `signal`. */
  async drain(): Promise<void> {
    await waitAtMost(drainMs, Promise.all(this.pending));
    this.stopping.abort(new JobInterrupted('draining'));
  }
}
