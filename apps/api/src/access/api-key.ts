/**
 * API keys: `mr_<id>_<secret><checksum>`. The id tells keys apart, the secret is 190 random bits, the checksum
 * lets a mistyped key (and a leak scanner's find) be recognized without a query to the database.
 */
import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const shape = /^mr_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}$/;
const checksumLength = 6;

const random = (length: number) =>
  Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');

function checksum(text: string): string {
  let rest = crc32(text);
  let written = '';
  for (let digit = 0; digit < checksumLength; digit++) {
    written = alphabet[rest % alphabet.length]! + written;
    rest = Math.floor(rest / alphabet.length);
  }
  return written;
}

export interface MintedKey {
  /** Shown once, stored nowhere. */
  readonly key: string;
  readonly prefix: string;
  readonly hash: Buffer;
}

export function mintApiKey(): MintedKey {
  const prefix = `mr_${random(8)}`;
  const body = `${prefix}_${random(32)}`;
  const key = body + checksum(body);
  return { key, prefix, hash: hashApiKey(key) };
}

/** Whether a text can be a key at all: its shape and checksum hold. */
export function isApiKey(text: string): boolean {
  return shape.test(text) && checksum(text.slice(0, -checksumLength)) === text.slice(-checksumLength);
}

/** SHA-256 is enough: the secret is random, so there is nothing to guess that a slow hash would protect. */
export function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
