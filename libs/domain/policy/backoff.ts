/** Backoff between attempts: full jitter between zero and a bound that doubles. */

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * "Full jitter", M. Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015.
 * @param failed number of failed attempts, from 1. @param random in [0, 1).
 */
export function computeBackoffMs(
  policy: Pick<RetryPolicy, 'baseMs' | 'maxMs'>,
  failed: number,
  random: number,
): number {
  return Math.round(random * Math.min(policy.maxMs, policy.baseMs * 2 ** (failed - 1)));
}
