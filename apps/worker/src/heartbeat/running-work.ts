/** The chunks and tasks that this worker runs now. The heartbeat reports them. */
import type { RunningWork } from '@millrace/contracts';

export class RunningWorkRegistry {
  private readonly work = new Set<RunningWork>();

  /** @returns a function that removes it. */
  add(work: Omit<RunningWork, 'started_at'>): () => void {
    const started = { ...work, started_at: Math.floor(Date.now() / 1_000) };
    this.work.add(started);
    return () => void this.work.delete(started);
  }

  /** Oldest first. */
  list(): RunningWork[] {
    return [...this.work];
  }
}
