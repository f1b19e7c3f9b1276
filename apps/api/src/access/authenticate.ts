/** From a key to the caller it stands for; HTTP and sockets come through here alike. */
import type { AccessStore, Caller } from '#database';
import { Unauthenticated } from '#domain';
import { hashApiKey, isApiKey } from './api-key.ts';

export type Authenticate = (apiKey: string) => Promise<Caller>;
export const AUTHENTICATE = Symbol('authenticate');

/** @throws Unauthenticated, the same for a wrong, an expired and a revoked key. */
export function authenticateWith(access: AccessStore): Authenticate {
  const touch = throttlePerKey((keyId) => access.recordKeyUse(keyId));
  return async (apiKey) => {
    const caller = isApiKey(apiKey) ? await access.findByKeyHash(hashApiKey(apiKey)) : null;
    if (!caller)
      throw new Unauthenticated(
        'This API key is not valid. The first key is in credentials.json in the data folder.',
      );
    touch(caller.keyId);
    return caller;
  };
}

/** A key's use is noted to the minute: the statement that would find nothing to do need not be sent. */
const touchEveryMs = 30_000;
const remembered = 10_000;

function throttlePerKey(touch: (keyId: string) => Promise<void>): (keyId: string) => void {
  const touchedAt = new Map<string, number>();
  return (keyId) => {
    const now = performance.now();
    if (now - (touchedAt.get(keyId) ?? -Infinity) < touchEveryMs) return;
    if (touchedAt.size >= remembered) touchedAt.clear();
    touchedAt.set(keyId, now);
    void touch(keyId).catch(() => touchedAt.delete(keyId));
  };
}
