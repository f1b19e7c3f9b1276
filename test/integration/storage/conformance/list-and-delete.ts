/** Listings, deletions, and probes, which no listing shows. */
import type { ObjectStorage } from '#storage';
import { listKeys, text, type StorageUnderTest } from './subject.ts';

export function testListsAndDeletions(subject: () => StorageUnderTest): void {
  describe('list and delete', () => {
    let objects: ObjectStorage;
    beforeEach(() => {
      objects = subject().objects;
    });

    test('lists thousands of keys in byte order, by prefix and after a key', async () => {
      const numbers = Array.from(
        { length: 2050 }, // three pages of S3
        (_, at) => `batches/b1/${String(at).padStart(5, '0')}.jsonl`,
      );
      const others = [
        'a',
        'a-b',
        'a.txt',
        'a0/x',
        'b/x',
        'b-c',
        'b0',
        'batches/b10/x',
        'batches/b1-x/y',
        'z/1/2/3',
        'B',
      ];
      const all = [...numbers, ...others].sort((a, b) => Buffer.compare(text(a), text(b)));
      for (let at = 0; at < all.length; at += 50) {
        await Promise.all(all.slice(at, at + 50).map((key) => objects.put(key, text('x'))));
      }
      expect(await listKeys(objects, '')).toEqual(all);
      const prefixes = [
        'a',
        'b',
        'b/',
        'batches/b1',
        'batches/b1/',
        'batches/b1/0001',
        'batches/b1/00010.jsonl',
        'z/1',
        'none/',
        'c',
      ];
      for (const prefix of prefixes) {
        expect(await listKeys(objects, prefix)).toEqual(all.filter((key) => key.startsWith(prefix)));
        const afters = [
          '',
          'a',
          'b',
          'b/x',
          'batches/b1/',
          'batches/b1/01234.jsonl',
          'batches/b1/01234.jsonlx',
          'batches/b2',
          'zz',
        ];
        const found = await Promise.all(afters.map((after) => listKeys(objects, prefix, after)));
        expect(found).toEqual(
          afters.map((after) => all.filter((key) => key.startsWith(prefix) && key > after)),
        );
      }
      await objects.delete(numbers.filter((_, at) => at % 2 === 0));
      expect(await listKeys(objects, 'batches/b1/')).toEqual(numbers.filter((_, at) => at % 2 === 1));
      await objects.delete(all);
      expect(await listKeys(objects, '')).toEqual([]);
    });

    test('an entry has the same info as head', async () => {
      const { etag } = await objects.put('a/b.jsonl', text('12345'));
      for await (const entry of objects.list('')) {
        expect(entry).toEqual({ key: 'a/b.jsonl', bytes: 5, etag, modifiedAt: expect.any(Date) });
      }
    });

    test('a listing can end early, and continues while objects are deleted', async () => {
      const keys = Array.from({ length: 200 }, (_, at) => `d${at % 10}/k${at}`).sort();
      await Promise.all(keys.map((key) => objects.put(key, text('x'))));
      for await (const { key } of objects.list('')) {
        expect(key).toBe(keys[0]);
        break;
      }
      const seen: string[] = [];
      for await (const { key } of objects.list('')) {
        if (seen.push(key) === 1) await objects.delete(keys.slice(100));
      }
      expect(seen.slice(0, 100)).toEqual(keys.slice(0, 100));
      expect(new Set(seen).size).toBe(seen.length);
    });

    test('deleting missing objects is not an error, and a deleted key can be used again', async () => {
      await objects.put('a/b/c', text('x'));
      await objects.delete(['a/b/c', 'a/b', 'a', 'never/was', 'a/b/c/d']);
      await objects.delete(['a/b/c']);
      await objects.delete([]);
      expect(await objects.head('a/b/c')).toBeNull();
      await objects.put('a/b/c', text('again'));
      expect((await objects.read('a/b/c')).toString()).toBe('again');
    });

    test('puts succeed while deletions empty their folder', async () => {
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        for (let round = 0; round < 25; round++) {
          const key = `busy/folder/${writer}-${round}`;
          await objects.put(key, text(key));
          expect((await objects.read(key)).toString()).toBe(key);
          await objects.delete([key]);
        }
      });
      await Promise.all(writers);
      expect(await listKeys(objects, '')).toEqual([]);
    });

    test('a probe succeeds, and no listing shows it', async () => {
      await Promise.all([objects.probe(), objects.probe()]);
      expect(await listKeys(objects, '')).toEqual([]);
    });
  });
}
