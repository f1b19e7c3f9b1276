import { InvalidInput } from '#domain';
import { parseIdempotencyKey } from './idempotency.ts';

const hash = (body: unknown) => parseIdempotencyKey('key', body)!.requestHash;

test('a request without an Idempotency-Key is not idempotent', () => {
  expect(parseIdempotencyKey(undefined, {})).toBeNull();
});

test('the order of fields does not change the hash, at any depth; their values do', () => {
  expect(hash({ a: 1, b: { c: 2, d: 3 } })).toEqual(hash({ b: { d: 3, c: 2 }, a: 1 }));
  expect(hash({ a: 1 })).not.toEqual(hash({ a: 2 }));
  expect(hash({ a: [1, 2] })).not.toEqual(hash({ a: [2, 1] }));
});

test('a request without a body has a hash', () => {
  expect(hash(undefined)).toEqual(hash(null));
});

test.each(['', 'x'.repeat(256)])('the key %j is refused', (key) => {
  expect(() => parseIdempotencyKey(key, {})).toThrow(InvalidInput);
});
