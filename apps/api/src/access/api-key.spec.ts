import { createHash } from 'node:crypto';
import { hashApiKey, isApiKey, mintApiKey } from './api-key.ts';

test('a new key is valid, with its own prefix and hash, and unique', () => {
  const keys = Array.from({ length: 200 }, mintApiKey);
  for (const { key, prefix, hash } of keys) {
    expect(isApiKey(key)).toBe(true);
    expect(key.startsWith(`${prefix}_`)).toBe(true);
    expect(prefix).toMatch(/^mr_[0-9A-Za-z]{8}$/);
    expect(hash).toEqual(createHash('sha256').update(key).digest());
    expect(hash).toEqual(hashApiKey(key));
  }
  expect(new Set(keys.map(({ key }) => key)).size).toBe(200);
});

test('a key with one changed character is recognized as invalid', () => {
  const { key } = mintApiKey();
  for (let at = 0; at < key.length; at++) {
    const other = key[at] === 'a' ? 'b' : 'a';
    expect(isApiKey(key.slice(0, at) + other + key.slice(at + 1))).toBe(false);
  }
});

test.each(['', 'mr_', 'mr_x_y', 'sk-123', 'mr_00000000_' + '0'.repeat(38), '\u0000', 'é'.repeat(50)])(
  '%j is not a key',
  (text) => {
    expect(isApiKey(text)).toBe(false);
  },
);

test('a key that is cut, extended or surrounded by spaces is not valid', () => {
  const { key } = mintApiKey();
  for (const text of [key.slice(0, -1), `${key}0`, ` ${key}`, `${key}\n`]) expect(isApiKey(text)).toBe(false);
});
