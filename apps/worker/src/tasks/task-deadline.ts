/** A task's deadline reaches its call as a cancel does: the upstream is told, and the sweep writes down that it expired. */
import { Interrupted } from '#queues';

/** What a timer can count; nothing runs for so long. */
const longestTimerMs = 2 ** 31 - 1;

/** @returns a signal that is aborted with `signal`, or at the deadline; `end` forgets it. */
export function startDeadline(
  deadline: Date | null,
  signal: AbortSignal,
): { readonly signal: AbortSignal; end(): void } {
  const leftMs = deadline ? Math.max(0, deadline.getTime() - Date.now()) : Infinity;
  if (leftMs > longestTimerMs) return { signal, end: () => undefined };
  const own = new AbortController();
  const stop = () => own.abort(signal.reason);
  const timer = setTimeout(() => own.abort(new Interrupted('canceled')), leftMs);
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return {
    signal: own.signal,
    end() {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    },
  };
}
