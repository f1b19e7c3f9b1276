/** A provider failure that stops work without being the fault of its input. */
import { classifyFailure, ProviderFailure, type Failure } from '#domain';

/** `rate_limited`: the provider says when to come back. The others need someone to fix the provider's account. */
export type HoldReason = 'rate_limited' | 'bad_token' | 'no_credit';

/** Thrown to stop a chunk or a task: no further call is started, finished lines are kept. */
export class ProviderHold extends Error {
  constructor(
    readonly reason: HoldReason,
    readonly failure: ProviderFailure,
  ) {
    super(failure.message, { cause: failure });
  }
}

/** @returns null when the failure belongs to the input and goes into its record. */
export function toProviderHold(failure: Failure): ProviderHold | null {
  if (!(failure instanceof ProviderFailure)) return null;
  const reason = classifyFailure(failure);
  const isHold = reason === 'rate_limited' || reason === 'bad_token' || reason === 'no_credit';
  return isHold ? new ProviderHold(reason, failure) : null;
}
