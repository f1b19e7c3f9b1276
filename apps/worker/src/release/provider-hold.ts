/** Lines that can't be run now, for no fault of theirs. */
import { judge, ProviderFailure, type Failure } from '#domain';

/** Nothing more of the chunk is begun; what was answered stands. */
export class ProviderHold extends Error {
  /**
   * @param why `limited`: the provider says when to come again. `token`, `credit`: the account that calls are made with
   * does not serve, until somebody sees to it.
   */
  constructor(
    readonly why: 'limited' | 'token' | 'credit',
    readonly failure: ProviderFailure,
  ) {
    super(failure.message, { cause: failure });
  }
}

/** @returns null where the failure is the line's own, and stands in its record. */
export function toProviderHold(failure: Failure): ProviderHold | null {
  if (!(failure instanceof ProviderFailure)) return null;
  const why = judge(failure);
  return why === 'limited' || why === 'token' || why === 'credit' ? new ProviderHold(why, failure) : null;
}
