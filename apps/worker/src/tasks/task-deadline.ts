/** Ends a task's call at its deadline, as a cancel does: the upstream run is cancelled. The reconcile job expires the task. */
import { startTimeLimit, type TimeLimit } from '#async';
import { JobInterrupted } from '#queues';

/** Longest delay of a timer. */
const maxTimerMs = 2 ** 31 - 1;

/** @returns a signal that is aborted with `signal` or at the deadline. `end` clears the timer. */
export function startDeadline(deadline: Date | null, signal: AbortSignal): TimeLimit {
  const leftMs = deadline ? Math.max(0, deadline.getTime() - Date.now()) : Infinity;
  if (leftMs > maxTimerMs) return { signal, end: () => undefined };
  return startTimeLimit(signal, leftMs, () => new JobInterrupted('canceled'));
}
