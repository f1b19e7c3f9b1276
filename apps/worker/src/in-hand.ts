/** What this worker has in hand now, for whoever looks at it. */
import type { RunningWork } from '#contracts';

export class InHand {
  private readonly work = new Set<RunningWork>();

  /** @returns what ends it. */
  begin(work: Omit<RunningWork, 'since'>): () => void {
    const begun = { ...work, since: Math.floor(Date.now() / 1_000) };
    this.work.add(begun);
    return () => void this.work.delete(begun);
  }

  /** Oldest first. */
  list(): RunningWork[] {
    return [...this.work];
  }
}
