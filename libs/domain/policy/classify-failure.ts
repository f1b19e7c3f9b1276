/** Classifies a provider's failure. The class decides what the call policy and the worker do next. */
import type { ProviderFailure } from '../errors.ts';

/**
 * - `invalid_input`: the input is the cause. It fails. A packed call is split until that input is alone.
 * - `too_large`: the call is too large for the provider. It is split, and the next calls are packed smaller.
 * - `bad_token`: the provider rejects the credential. Nothing is sent with it for a while.
 * - `no_credit`: the account has no credit left. Same as `bad_token`.
 * - `model_unavailable`: the model is gated or does not exist. All inputs of the call fail, without retry.
 * - `rate_limited`: too many requests. Uses up no attempt.
 * - `overloaded`: the provider accepts no work now (503). Uses up no attempt of work that can be deferred.
 * - `loading`: the model is loading. Waits within a time budget of its own.
 * - `timed_out`: no answer in time. Retried within the attempt budget; a packed call is split.
 * - `transient`: a temporary failure. Retried within the attempt budget.
 */
export type FailureClass =
  | 'invalid_input'
  | 'too_large'
  | 'bad_token'
  | 'no_credit'
  | 'model_unavailable'
  | 'rate_limited'
  | 'overloaded'
  | 'loading'
  | 'timed_out'
  | 'transient';

const byCode: Partial<Record<string, FailureClass>> = {
  // The input may have ended the thread, so its attempts count.
  model_thread_died: 'transient',
  model_loading: 'loading',
  request_timeout: 'timed_out',
  insufficient_quota: 'no_credit',
  invalid_output: 'invalid_input',
};

const byStatus: Partial<Record<number, FailureClass>> = {
  401: 'bad_token',
  402: 'no_credit',
  403: 'model_unavailable',
  404: 'model_unavailable',
  413: 'too_large',
};

export function classifyFailure({
  code,
  status,
  retryable,
}: Pick<ProviderFailure, 'code' | 'status' | 'retryable'>): FailureClass {
  const named = byCode[code];
  if (named) return named;
  if (!retryable) return byStatus[status] ?? 'invalid_input';
  if (status === 429) return 'rate_limited';
  if (status === 503) return 'overloaded';
  return status === 408 ? 'timed_out' : 'transient';
}

/** Whether the other inputs of the call may succeed once the input at fault is split off. */
export const canSplitCall = (failureClass: FailureClass): boolean =>
  failureClass === 'invalid_input' || failureClass === 'too_large' || failureClass === 'timed_out';

/** Whether the provider itself fails. A 4xx is about the request, so it never opens the circuit breaker. */
export const isOutage = (failureClass: FailureClass): boolean =>
  failureClass === 'transient' || failureClass === 'overloaded' || failureClass === 'timed_out';

/** Whether the provider may take the same work later. */
export const isTemporary = (failureClass: FailureClass): boolean =>
  failureClass === 'rate_limited' || failureClass === 'overloaded' || failureClass === 'loading';

/** Whether the provider does not accept the credential now. */
export const isCredentialBlocked = (failureClass: FailureClass): boolean =>
  failureClass === 'bad_token' || failureClass === 'no_credit';

/** Whether a fallback model of the request may succeed. */
export const canFallBack = (failureClass: FailureClass): boolean =>
  failureClass !== 'invalid_input' && failureClass !== 'too_large';
