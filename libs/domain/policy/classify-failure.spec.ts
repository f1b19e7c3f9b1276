import { ProviderFailure } from '../errors.ts';
import { isOutage, canSplitCall, classifyFailure } from './classify-failure.ts';

const failure = (
  status: number,
  retryable: boolean,
  over: { code?: string; retryAfterMs?: number } = {},
): ProviderFailure => new ProviderFailure('x', { status, retryable, ...over });

test.each([
  [failure(400, false), 'item'],
  [failure(422, false), 'item'],
  [failure(413, false), 'smaller'],
  [failure(401, false), 'token'],
  [failure(402, false), 'credit'],
  [failure(429, false, { code: 'insufficient_quota' }), 'credit'],
  [failure(403, false), 'refused'],
  [failure(404, false), 'refused'],
  [failure(429, true, { retryAfterMs: 0 }), 'limited'],
  [failure(429, true), 'transient'],
  [failure(503, true, { code: 'model_loading' }), 'loading'],
  [failure(408, true), 'overdue'],
  [failure(408, true, { code: 'request_timeout' }), 'overdue'],
  [failure(500, true), 'transient'],
  [failure(503, true, { retryAfterMs: 5 }), 'transient'],
  [failure(502, false, { code: 'invalid_output' }), 'item'],
  [failure(500, false), 'item'],
] as const)('%#: %s is %s', (given, verdict) => {
  expect(classifyFailure(given)).toBe(verdict);
});

test('no 4xx but a time-out counts as an outage; what stands alone is found only where that helps', () => {
  for (const status of [400, 401, 402, 403, 404, 413, 422]) {
    expect(isOutage(classifyFailure(failure(status, false)))).toBe(false);
  }
  for (const status of [401, 402, 403, 404]) {
    expect(canSplitCall(classifyFailure(failure(status, false)))).toBe(false);
  }
});
