/**
 * What may be a key, checked before any adapter touches disk or network. Keys are made by us, never by a
 * caller; the rule is an allow-list so narrow that no file system, URL or shell reads one another way.
 */
import { InvalidInput } from '#domain';

/** S3 allows 1,024 bytes a key, file systems 255 a name; ours leave room for a bucket prefix and a suffix. */
const maxKeyLength = 900;
const maxSegmentLength = 200;

/** Starts with a letter, digit or underscore: so neither `.`, `..`, `.tmp` nor `-option` can be one. */
const segment = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/** True for one part of a key between slashes; the listing skips files that are not named so. */
export function isKeySegment(name: string): boolean {
  return name.length <= maxSegmentLength && segment.test(name);
}

/** True for what may be a key; what else lies in a bucket or folder is none of ours. */
export function isKey(key: string): boolean {
  return key.length <= maxKeyLength && key.split('/').every(isKeySegment);
}

/** Throws `InvalidInput` `invalid_key`; the message never repeats the key, which may be anything. */
export function assertKey(key: string): void {
  if (typeof key !== 'string' || key.length === 0 || key.length > maxKeyLength) {
    throw invalid(`An object's key has 1 to ${maxKeyLength} characters.`);
  }
  if (!isKey(key)) {
    throw invalid(
      `An object's key is made of segments joined by "/", each of 1 to ${maxSegmentLength} letters, digits, ` +
        '".", "_" or "-", and starting with a letter, a digit or "_".',
    );
  }
}

/** A prefix is the beginning of some key, so its last segment may be cut short or empty. */
export function assertPrefix(prefix: string): void {
  if (prefix === '') return;
  assertKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
}

function invalid(message: string): InvalidInput {
  return new InvalidInput(message, { code: 'invalid_key' });
}
