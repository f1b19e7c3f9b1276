import { createHash } from 'node:crypto';

/** What tells a secret from others and says nothing of it: secrets are random, so 48 bits of a hash are no clue. */
export const fingerprint = (secret: string): string =>
  createHash('sha256').update(secret).digest('hex').slice(0, 12);
