/** What this worker has in hand now, for whoever looks at it. */
import type { RunningWork } from '@millrace/contracts';

export class RunningWorkRegistry {
  private readonly work = new Set<RunningWork>();

  /** @returns what ends it. */
  add(work: Omit<RunningWork, 'since'>): () => void {
    const begun = { ...work, since: Math.floor(Date.now() / 1_000) };
    this.work.add(begun);
    return () => void this.work.delete(begun);
  }

  /** Oldest first. */
  list(): RunningWork[] {
    return [...this.work];
  }
}
