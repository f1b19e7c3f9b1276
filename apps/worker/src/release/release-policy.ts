/**
 * Decides how a chunk or a task that this worker can't finish goes back to the queue: when it may run again, and whether
 * its attempt counts as failed. Chunks and tasks share this one policy.
 */
import { computeBackoffMs, Failure, Unavailable, type ProviderFailure } from '#domain';
import type { Logger } from '#telemetry';
import { retryUntilSettled } from './retry-until-settled.ts';

export interface Release {
  /**
   * `released`: the worker stops, or a dependency (storage, database, queue) is unavailable. `failed`: any other error.
   * The number of failed attempts is limited.
   */
  readonly outcome: 'released' | 'failed';
  readonly code: string | null;
  readonly delayMs: number;
}

/** A chunk or a task, as the policy sees it. */
export interface ReleasableWork<T> {
  readonly type: 'chunk' | 'task';
  readonly attempt: number;
  /** Writes the release. It changes nothing once another attempt has claimed the work. */
  readonly write: (release: Release) => Promise<T>;
}

/**
 * After this many failed attempts, work ends as failed without another call: an error that is not an outage comes again,
 * and each attempt may be billed.
 */
export const maxFailedAttempts = 5;

/** Backoff after an error. */
const backoff = { baseMs: 1_000, maxMs: 30_000 };

/** Up to this share is added to a deferral, so that work that was deferred together returns spread out. */
const deferralJitter = 0.1;

/** Each deferral without a time of the provider's own is at least this backoff: an outage may last for hours. */
const deferral = { baseMs: 2_000, maxMs: 120_000 };

/** Defers work that the provider does not take now. Uses up no attempt. */
export async function defer<T>(
  work: ReleasableWork<T>,
  { code, retryAfterMs }: Pick<ProviderFailure, 'code' | 'retryAfterMs'>,
  signal: AbortSignal,
  log: Logger,
): Promise<T> {
  const waitMs = retryAfterMs ?? computeBackoffMs(deferral, work.attempt, 0.5 + Math.random() / 2);
  const delayMs = Math.round(waitMs * (1 + deferralJitter * Math.random()));
  log.info({ code, delayMs }, `the provider takes no work now, so the ${work.type} is deferred`);
  return retryUntilSettled(() => work.write({ outcome: 'released', code, delayMs }), signal);
}

/** Releases work after an error: at once if it was interrupted (the worker stops), otherwise with a backoff. */
export async function releaseAfterError<T>(
  work: ReleasableWork<T>,
  error: unknown,
  signal: AbortSignal,
  log: Logger,
): Promise<T> {
  const release = decideRelease(work.attempt, error, signal);
  if (!signal.aborted) {
    const { delayMs } = release;
    log.error({ err: error, attempt: work.attempt, delayMs }, `the ${work.type} failed and will be retried`);
  }
  return retryUntilSettled(() => work.write(release), signal);
}

function decideRelease(attempt: number, error: unknown, signal: AbortSignal): Release {
  if (signal.aborted) return { outcome: 'released', code: null, delayMs: 0 };
  const outcome = error instanceof Unavailable ? 'released' : 'failed';
  const code = error instanceof Failure ? error.code : 'internal_error';
  return { outcome, code, delayMs: computeBackoffMs(backoff, attempt, Math.random()) };
}
