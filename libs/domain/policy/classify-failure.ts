/** What a provider's failure calls for: one verdict for each row of docs/providers.md's table of answers. */
import type { ProviderFailure } from '../errors.ts';

/**
 * - `item`: the input is at fault. It fails; packed with others, the call is halved until it stands alone.
 * - `smaller`: the call was too large for the provider. Halved, and the next are packed smaller.
 * - `token`: the token is not accepted. Nothing more is sent with it for a while.
 * - `credit`: the account has no credit left. As above, and nothing is tried again.
 * - `refused`: the model is gated or not there. Every input of the call fails at once.
 * - `limited`: too many requests, and the provider says when to come again. No try is used up.
 * - `loading`: the model is being loaded. Waited for within a budget of its own.
 * - `overdue`: no answer in time. Tried again within the budget of tries, in halves where it was packed.
 * - `transient`: it may pass. Tried again within the budget of tries.
 */
export type FailureClass =
  'item' | 'smaller' | 'token' | 'credit' | 'refused' | 'limited' | 'loading' | 'overdue' | 'transient';

const byCode: Partial<Record<string, FailureClass>> = {
  model_loading: 'loading',
  request_timeout: 'overdue',
  insufficient_quota: 'credit',
  invalid_output: 'item',
};

const byStatus: Partial<Record<number, FailureClass>> = {
  401: 'token',
  402: 'credit',
  403: 'refused',
  404: 'refused',
  413: 'smaller',
};

export function classifyFailure({
  code,
  status,
  retryable,
  retryAfterMs,
}: Pick<ProviderFailure, 'code' | 'status' | 'retryable' | 'retryAfterMs'>): FailureClass {
  const named = byCode[code];
  if (named) return named;
  if (!retryable) return byStatus[status] ?? 'item';
  if (status === 429 && retryAfterMs !== null) return 'limited';
  return status === 408 ? 'overdue' : 'transient';
}

/** Whether other inputs of the same call may still succeed without the one at fault. */
export const canSplitCall = (verdict: FailureClass): boolean =>
  verdict === 'item' || verdict === 'smaller' || verdict === 'overdue';

/** Whether the provider is the one that fails. What a 4xx says is about the request, and never opens a breaker. */
export const isOutage = (verdict: FailureClass): boolean => verdict === 'transient' || verdict === 'overdue';

/** Whether a model that the request names as its fallback may do better. */
export const canFallBack = (verdict: FailureClass): boolean => verdict !== 'item' && verdict !== 'smaller';
