/**
 * Validates keys, before an adapter uses the disk or the network. Millrace creates all keys, never a caller, so the
 * allow-list is narrow enough that no file system, URL or shell reads a key in another way.
 */
import { InvalidInput } from '#domain';

/** S3 allows 1,024 bytes per key and file systems 255 per name; these leave room for a bucket prefix and a suffix. */
const maxKeyLength = 900;
const maxSegmentLength = 200;

/** The first character excludes `.`, `..`, `.tmp` and `-option`. */
const segment = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/** Whether `name` may be one part of a key between slashes. The listing of the disk skips other files. */
export function isKeySegment(name: string): boolean {
  return name.length <= maxSegmentLength && segment.test(name);
}

/** Whether `key` is valid. Anything else in a bucket or folder was not written by Millrace. */
export function isKey(key: string): boolean {
  return key.length <= maxKeyLength && key.split('/').every(isKeySegment);
}

/** Throws `InvalidInput` `invalid_key`. The message does not repeat the key, which may contain anything. */
export function assertKey(key: string): void {
  if (typeof key !== 'string' || key.length === 0 || key.length > maxKeyLength) {
    throw invalidKey(`The key of an object must have 1 to ${maxKeyLength} characters.`);
  }
  if (!isKey(key)) {
    throw invalidKey(
      `The key of an object must consist of segments joined by "/", each of 1 to ${maxSegmentLength} letters, ` +
        'digits, ".", "_" or "-", starting with a letter, a digit or "_".',
    );
  }
}

/** A prefix is the beginning of a key, so its last segment may be incomplete or empty. */
export function assertPrefix(prefix: string): void {
  if (prefix === '') return;
  assertKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
}

function invalidKey(message: string): InvalidInput {
  return new InvalidInput(message, { code: 'invalid_key' });
}
