/** The `Idempotency-Key` header: the same key and request create one resource. */
import { createHash } from 'node:crypto';
import type { Idempotency } from '#database';
import { InvalidInput } from '#domain';

/**
 * @param body hashed with its fields in a fixed order: the same fields in another order are the same request.
 * @param route keeps the keys of routes apart. Leave it out for the creation of a batch.
 * @returns null without a key. @throws InvalidInput
 */
export function parseIdempotencyKey(
  key: string | undefined,
  body: unknown,
  route?: string,
): Idempotency | null {
  if (key === undefined) return null;
  if (key.length < 1 || key.length > 255) {
    throw new InvalidInput('An Idempotency-Key has 1 to 255 characters.', { param: 'Idempotency-Key' });
  }
  const requestHash = createHash('sha256').update(toCanonicalJson(body)).digest();
  return { key, requestHash, ...(route && { route }) };
}

const toCanonicalJson = (body: unknown) =>
  // A body of undefined hashes like null: the key alone identifies such a request.
  JSON.stringify(body ?? null, (_, value: unknown) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
