import { ProviderFailure } from '../errors.ts';
import { isOutage, canSplitCall, classifyFailure } from './classify-failure.ts';

const failure = (
  status: number,
  retryable: boolean,
  over: { code?: string; retryAfterMs?: number } = {},
): ProviderFailure => new ProviderFailure('x', { status, retryable, ...over });

test.each([
  [failure(400, false), 'invalid_input'],
  [failure(422, false), 'invalid_input'],
  [failure(413, false), 'too_large'],
  [failure(401, false), 'bad_token'],
  [failure(402, false), 'no_credit'],
  [failure(429, false, { code: 'insufficient_quota' }), 'no_credit'],
  [failure(403, false), 'model_unavailable'],
  [failure(404, false), 'model_unavailable'],
  [failure(429, true, { retryAfterMs: 0 }), 'rate_limited'],
  [failure(429, true), 'rate_limited'],
  [failure(503, true, { code: 'model_loading' }), 'loading'],
  [failure(408, true), 'timed_out'],
  [failure(408, true, { code: 'request_timeout' }), 'timed_out'],
  [failure(500, true), 'transient'],
  [failure(503, true, { retryAfterMs: 5 }), 'overloaded'],
  [failure(502, true), 'transient'],
  [failure(503, true, { code: 'model_thread_died' }), 'transient'],
  [failure(502, false, { code: 'invalid_output' }), 'invalid_input'],
  [failure(500, false), 'invalid_input'],
] as const)('%#: %s is %s', (given, failureClass) => {
  expect(classifyFailure(given)).toBe(failureClass);
});

test('no 4xx except a time-out is an outage, and a call is split only when that can help', () => {
  for (const status of [400, 401, 402, 403, 404, 413, 422]) {
    expect(isOutage(classifyFailure(failure(status, false)))).toBe(false);
  }
  for (const status of [401, 402, 403, 404]) {
    expect(canSplitCall(classifyFailure(failure(status, false)))).toBe(false);
  }
});
