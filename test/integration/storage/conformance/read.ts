/** Reads: whole objects, ranges, recorded sizes and content types. */
import { buffer } from 'node:stream/consumers';
import type { ObjectStorage } from '#storage';
import { fails, repeat, text, type StorageUnderTest } from './subject.ts';

export function testReads(subject: () => StorageUnderTest): void {
  describe('read', () => {
    let objects: ObjectStorage;
    beforeEach(() => {
      objects = subject().objects;
    });

    test('a missing object is NotFound, and null for head', async () => {
      await objects.put('a/b', text('x'));
      for (const key of ['none', 'a', 'a/c', 'a/b/c']) {
        await expect(objects.get(key)).rejects.toEqual(
          expect.objectContaining({ name: 'NotFound', status: 404 }),
        );
        await expect(objects.read(key)).rejects.toEqual(fails('object_not_found'));
        expect(await objects.head(key)).toBeNull();
      }
    });

    const ranges: [{ start?: number; end?: number }, string][] = [
      [{ start: 0, end: 0 }, '0'],
      [{ start: 0, end: 9 }, '0123456789'],
      [{ start: 9, end: 9 }, '9'],
      [{ start: 9 }, '9'],
      [{ end: 3 }, '0123'],
      [{ start: 4, end: 6 }, '456'],
      [{ start: 8, end: 1e12 }, '89'],
      [{ start: 0 }, '0123456789'],
    ];
    test.each(ranges)('range %p', async (range, expected) => {
      await objects.put('k', text('0123456789'));
      expect((await objects.read('k', range)).toString()).toBe(expected);
      const { stream, ...found } = await objects.get('k', range);
      expect((await buffer(stream)).toString()).toBe(expected);
      const start = range.start ?? 0;
      expect(found).toEqual({
        bytes: expected.length,
        totalBytes: 10,
        etag: (await objects.head('k'))!.etag,
        contentType: 'application/octet-stream',
        range: { start, end: start + expected.length - 1 },
      });
    });

    const invalidRanges: [string, string, { start?: number; end?: number }, string][] = [
      ['one byte past the end', '0123456789', { start: 10 }, 'range_not_satisfiable'],
      ['far past the end', '0123456789', { start: 1e12, end: 1e13 }, 'range_not_satisfiable'],
      ['from the start of an empty object', '', { start: 0 }, 'range_not_satisfiable'],
      ['first byte of an empty object', '', { start: 0, end: 0 }, 'range_not_satisfiable'],
      ['backwards', '0123456789', { start: 5, end: 4 }, 'invalid_range'],
      ['negative', '0123456789', { start: -1 }, 'invalid_range'],
      ['a fraction', '0123456789', { start: 0.5 }, 'invalid_range'],
      ['NaN', '0123456789', { start: Number.NaN }, 'invalid_range'],
      ['past 2⁵³', '0123456789', { start: 0, end: 2 ** 53 }, 'invalid_range'],
    ];
    test.each(invalidRanges)('rejected range: %s', async (_, content, range, code) => {
      await objects.put('k', text(content));
      await expect(objects.get('k', range)).rejects.toEqual(fails(code));
      await expect(objects.read('k', range)).rejects.toEqual(fails(code));
    });

    test('an empty object can be read', async () => {
      await objects.put('k', text(''));
      const { stream, bytes, range } = await objects.get('k');
      expect([(await buffer(stream)).length, bytes, range]).toEqual([0, 0, null]);
      expect((await objects.read('k')).length).toBe(0);
    });

    test('an object that does not have its recorded size is damaged', async () => {
      await objects.put('k', text('0123456789'));
      expect((await objects.read('k', { start: 2, end: 3, expectedBytes: 10 })).toString()).toBe('23');
      for (const expectedBytes of [9, 11]) {
        const damaged = expect.objectContaining({
          code: 'segment_damaged',
          expectedBytes,
          foundBytes: 10,
          key: 'k',
        });
        await expect(objects.read('k', { start: 2, end: 3, expectedBytes })).rejects.toEqual(damaged);
        await expect(objects.get('k', { expectedBytes })).rejects.toEqual(damaged);
      }
    });

    test('more than 256 MiB is not read into memory', async () => {
      await objects.put('huge', repeat(Buffer.alloc(8 * 1024 * 1024), 33));
      await expect(objects.read('huge')).rejects.toEqual(fails('read_too_large'));
      expect((await objects.read('huge', { start: 270_000_000, end: 270_000_003 })).length).toBe(4);
    });

    test.each([
      ['a/output.jsonl', 'application/jsonl'],
      ['a/output.jsonl.gz', 'application/gzip'],
      ['v.mp4', 'video/mp4'],
      ['i.PNG', 'image/png'],
      ['a.mp3', 'audio/mpeg'],
      ['jsonl', 'application/octet-stream'],
      ['x.jsonl/object', 'application/octet-stream'],
      ['x.constructor', 'application/octet-stream'],
    ])('the content type of %s is %s', async (key, contentType) => {
      await objects.put(key, text('x'));
      const opened = await objects.get(key);
      opened.stream.destroy();
      expect(opened.contentType).toBe(contentType);
      expect((await objects.head(key))!.contentType).toBe(contentType);
    });
  });
}
