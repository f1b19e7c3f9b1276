/** From an API key to its caller, for HTTP requests and sockets. */
import type { FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { AccessStore } from '#database';
import { Unauthenticated } from '#domain';
import { hashApiKey, isApiKey } from './api-key.ts';
import { toCaller, type Caller } from './caller.ts';

export type Authenticate = (apiKey: string) => Promise<Caller>;
export const AUTHENTICATE = Symbol('authenticate');

/** @throws Unauthenticated, with the same message for a wrong, an expired and a revoked key. */
export function authenticateWith(access: AccessStore): Authenticate {
  const recordUse = throttlePerKey((keyId) => access.recordKeyUse(keyId));
  return async (apiKey) => {
    const owner = isApiKey(apiKey) ? await access.findByKeyHash(hashApiKey(apiKey)) : null;
    if (!owner) {
      throw new Unauthenticated(
        'This API key is not valid. The first key is in credentials.json in the data folder.',
      );
    }
    recordUse(owner.keyId);
    return toCaller(owner);
  };
}

/** @throws Unauthenticated where the request has no bearer token. */
export function parseBearerKey({ headers }: FastifyRequest): string {
  const [scheme, key] = (headers.authorization ?? '').split(' ', 2);
  if (scheme?.toLowerCase() === 'bearer' && key) return key;
  throw new Unauthenticated('Send your API key as `Authorization: Bearer mr_…`.');
}

/** The time of a key's last use is stored to the minute, so most calls need no statement. */
const recordEveryMs = 30_000;
const maxKeys = 10_000;

function throttlePerKey(record: (keyId: string) => Promise<void>): (keyId: string) => void {
  const recorded = new LRUCache<string, true>({ max: maxKeys, ttl: recordEveryMs });
  return (keyId) => {
    if (recorded.has(keyId)) return;
    recorded.set(keyId, true);
    void record(keyId).catch(() => recorded.delete(keyId));
  };
}
