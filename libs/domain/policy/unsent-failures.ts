/** Failures of calls that are not sent now: what the provider answered last, and when it may take the work. */
import { ProviderFailure } from '../errors.ts';

/** @param retryAfterMs time until the provider may take the work */
export const copyFailure = (
  { message, code, param, status, suspect, cause }: ProviderFailure,
  retryAfterMs: number | null,
  deferrable: boolean,
): ProviderFailure =>
  new ProviderFailure(message, {
    ...{ code, status, suspect, cause, deferrable, retryable: true },
    ...(param !== null && { param }),
    retryAfterMs: retryAfterMs === null ? null : Math.ceil(retryAfterMs),
  });

/** Of a call that waited for the probe of another, which has not ended. */
export const providerUnavailable = (retryAfterMs: number | null, deferrable: boolean): ProviderFailure =>
  new ProviderFailure('The provider did not answer, and did not recover in the time this request can wait.', {
    ...{ code: 'provider_unavailable', status: 503, retryable: true, retryAfterMs, deferrable },
  });
