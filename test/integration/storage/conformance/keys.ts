/** Which keys and prefixes are valid. */
import type { ObjectStorage } from '#storage';
import { fails, listKeys, text, type StorageUnderTest } from './subject.ts';

export function testKeys(subject: () => StorageUnderTest): void {
  describe('keys', () => {
    let objects: ObjectStorage;
    beforeEach(() => {
      objects = subject().objects;
    });

    const invalidKeys: [string, unknown][] = [
      ['empty', ''],
      ['absolute', '/a'],
      ['ends in a slash', 'a/'],
      ['empty segment', 'a//b'],
      ['one dot', '.'],
      ['dot segment', 'a/./b'],
      ['two dots', '..'],
      ['parent folder', '../a'],
      ['parent folder inside', 'a/../../b'],
      ['parent folder at the end', 'a/..'],
      ['encoded parent folder', '%2e%2e/a'],
      ['encoded slash', 'a%2fb'],
      ['encoded twice', '%252e%252e/a'],
      ['NUL', 'a\0b'],
      ['NUL after a valid name', 'a.jsonl\0.png'],
      ['backslash', 'a\\..\\b'],
      ['drive', 'C:/a'],
      ['hidden', '.tmp/a'],
      ['hidden inside', 'a/.b'],
      ['option', '-rf'],
      ['space', 'a b'],
      ['newline', 'a\nb'],
      ['newline at the end', 'a\n'],
      ['carriage return', 'a\r'],
      ['question mark', 'a?b'],
      ['hash', 'a#b'],
      ['umlaut', 'ä'],
      ['full-width dots', '．．/a'],
      ['lone surrogate', 'a\ud800'],
      ['segment too long', 'a'.repeat(201)],
      ['key too long', Array.from({ length: 101 }, () => 'a'.repeat(8)).join('/')],
      ['undefined', undefined],
      ['array', ['a']],
    ];
    test.each(invalidKeys)('rejected: %s', async (_, value) => {
      const key = value as string;
      const rejected = expect.objectContaining({ name: 'InvalidInput', code: 'invalid_key' });
      await expect(objects.put(key, text('x'))).rejects.toEqual(rejected);
      await expect(objects.get(key)).rejects.toEqual(rejected);
      await expect(objects.read(key)).rejects.toEqual(rejected);
      await expect(objects.head(key)).rejects.toEqual(rejected);
      await expect(objects.delete(['good', key])).rejects.toEqual(rejected);
      await expect(objects.signedUrl(key, { method: 'GET', expiresInS: 60 })).rejects.toEqual(rejected);
      expect(await listKeys(objects, '')).toEqual([]);
    });

    test.each(['/a', '../', 'a//', '..', '.', 'a/..', 'a\0', '%2e', '.tmp/'])(
      'rejected prefix: %p',
      async (prefix) => {
        await expect(listKeys(objects, prefix)).rejects.toEqual(fails('invalid_key'));
      },
    );

    test('delete with one invalid key deletes nothing', async () => {
      await objects.put('good', text('x'));
      await expect(objects.delete(['good', '../bad'])).rejects.toEqual(fails('invalid_key'));
      expect(await listKeys(objects, '')).toEqual(['good']);
    });

    test('accepted: the characters and lengths that ids and names need, up to the limits', async () => {
      const validKeys = [
        'a',
        '0',
        '_x',
        'A.b-C_d',
        'a..b',
        'files/file_01JX/part-0.jsonl.gz',
        'a/'.repeat(100) + 'b',
        'x'.repeat(200),
      ];
      for (const key of validKeys) {
        await objects.put(key === 'a' ? 'a1' : key, text(key));
      }
      expect(await listKeys(objects, '')).toHaveLength(validKeys.length);
    });
  });
}
