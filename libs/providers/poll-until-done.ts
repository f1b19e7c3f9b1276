/** Starts an upstream run at most once, stores its id, and polls it until it is done. */
import { setTimeout as wait } from 'node:timers/promises';
import { ProviderFailure } from '#domain';
import { buildRunFailure, UnknownRunState } from './run-states.ts';
import type { Run } from './run.ts';

export interface UpstreamRun {
  /** @returns the provider's id of the run. */
  start(): Promise<string>;
  /** @returns whether the run is done. @throws ProviderFailure if the run failed, or cannot be polled now. */
  poll(id: string): Promise<boolean>;
  cancel(id: string): Promise<void>;
}

/** Short at first, for runs that finish quickly; then long enough not to hit the provider's rate limit. */
const interval = { firstMs: 250, maxMs: 5_000, growth: 1.5 };

/** Consecutive polls that may fail before the run counts as failed. */
const maxFailedPolls = 10;

/** Consecutive polls with a state that we do not know, 5 s in all, before the run counts as ended with that state. */
const maxUnknownPolls = 6;

/**
 * @returns the provider's id of the finished run.
 * @throws the reason of the run's signal, after the upstream run was cancelled if no attempt will resume it; ProviderFailure.
 */
export async function pollUntilDone(
  run: Pick<Run, 'signal' | 'resume' | 'saveRunId'>,
  upstream: UpstreamRun,
): Promise<string> {
  const { signal } = run;
  let id = run.resume;
  if (id === undefined || !(await isKnown(upstream, id))) {
    id = await upstream.start();
    await run.saveRunId(id); // From here on, the next attempt resumes this run.
  }
  try {
    let failures = 0;
    let unknown = 0;
    for (let ms = interval.firstMs; ; ms = Math.min(ms * interval.growth, interval.maxMs)) {
      signal.throwIfAborted();
      try {
        if (await upstream.poll(id)) return id;
        failures = unknown = 0;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof UnknownRunState && ++unknown >= maxUnknownPolls)
          throw buildRunFailure(error.state, null);
        const isRetryable = error instanceof ProviderFailure && error.retryable;
        if (!isRetryable || ++failures > maxFailedPolls) throw error;
        ms = Math.max(ms, error.retryAfterMs ?? 0);
      }
      await wait(ms, undefined, { signal });
    }
  } catch (error) {
    if (signal.aborted && endsRun(signal.reason)) await upstream.cancel(id).catch(() => undefined);
    signal.throwIfAborted();
    throw error;
  }
}

/** @returns false if the provider no longer has the run: a new one is started. */
async function isKnown(upstream: UpstreamRun, id: string): Promise<boolean> {
  return upstream.poll(id).then(
    () => true,
    (error: unknown) => !(error instanceof ProviderFailure && error.status === 404),
  );
}

/**
 * A cancel or a time-out ends the upstream run. A worker that stops, or lost its lease, leaves it to the next attempt.
 * @param abortReason read by its members: libs/providers does not import `JobInterrupted` of libs/queues.
 */
function endsRun(abortReason: unknown): boolean {
  if (typeof abortReason !== 'object' || abortReason === null) return false;
  const { reason, name } = abortReason as { reason?: unknown; name?: unknown };
  return reason === 'canceled' || name === 'TimeoutError';
}
