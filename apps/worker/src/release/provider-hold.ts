/** A provider failure that stops work without being the fault of its input. */
import { classifyFailure, ProviderFailure, type Failure } from '#domain';

/**
 * - `unavailable`: the provider takes no work now: it limits requests, is overloaded, does not answer, or loads the
 *   model. The work is deferred.
 * - `bad_token`, `no_credit`: someone has to fix the provider's account.
 */
export type HoldReason = 'unavailable' | 'bad_token' | 'no_credit';

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
  if (failure.deferrable) return new ProviderHold('unavailable', failure);
  const reason = classifyFailure(failure);
  return reason === 'bad_token' || reason === 'no_credit' ? new ProviderHold(reason, failure) : null;
}
