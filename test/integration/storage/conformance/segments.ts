/** Files of several segments, read as one stream. */
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { readSegments, SegmentDamaged, type ObjectStorage, type Segment } from '#storage';
import { fails, text, type StorageUnderTest } from './subject.ts';

export function testSegments(subject: () => StorageUnderTest): void {
  describe('segments', () => {
    let objects: ObjectStorage;
    beforeEach(() => {
      objects = subject().objects;
    });

    const contents = ['first line\n', '', 'second\n', 'x', 'the last of them\n'];
    const whole = contents.join('');
    let segments: Segment[];
    beforeEach(async () => {
      segments = [];
      for (const [at, content] of contents.entries()) {
        const { key, bytes } = await objects.put(`s/${at}.jsonl`, text(content));
        segments.push({ key, bytes, lines: content.endsWith('\n') ? 1 : 0 });
      }
    });

    test('a file and every range of it are read as one stream', async () => {
      expect((await buffer(readSegments(objects, segments))).toString()).toBe(whole);
      expect((await buffer(readSegments(objects, []))).length).toBe(0);
      const ranges = Array.from(whole, (_, start) =>
        [start, start + 1, start + 9, whole.length - 1, 1e9].map((end) => ({ start, end })),
      ).flat();
      const found = await Promise.all(
        ranges.map(async (range) => (await buffer(readSegments(objects, segments, range))).toString()),
      );
      expect(found).toEqual(ranges.map(({ start, end }) => whole.slice(start, end + 1)));
      expect(() => readSegments(objects, segments, { start: whole.length })).toThrow(
        fails('range_not_satisfiable'),
      );
      expect(() => readSegments(objects, [], { start: 0 })).toThrow(fails('range_not_satisfiable'));
      expect(() => readSegments(objects, segments, { start: 3, end: 2 })).toThrow(fails('invalid_range'));
    });

    test('a missing segment, and one of another size, are SegmentDamaged with its key', async () => {
      await objects.put('s/2.jsonl', text('sec'));
      await expect(buffer(readSegments(objects, segments))).rejects.toEqual(
        expect.objectContaining({
          code: 'segment_damaged',
          key: 's/2.jsonl',
          expectedBytes: 7,
          foundBytes: 3,
        }),
      );
      await objects.delete(['s/2.jsonl']);
      const read = buffer(readSegments(objects, segments));
      await expect(read).rejects.toEqual(expect.objectContaining({ key: 's/2.jsonl', foundBytes: null }));
      await expect(read).rejects.toBeInstanceOf(SegmentDamaged);
      expect((await buffer(readSegments(objects, segments, { end: 10 }))).toString()).toBe(contents[0]);
    });

    test('segments are opened one at a time, when they are read, and closed with the stream', async () => {
      const key = 's/mega';
      const { bytes } = await objects.put(key, Buffer.alloc(1_000_000));
      const many = Array.from({ length: 50 }, () => ({ key, bytes, lines: 0 }));
      const opened: Readable[] = [];
      let maxOpen = 0;
      const observed: Pick<ObjectStorage, 'get'> = {
        async get(...args) {
          maxOpen = Math.max(maxOpen, opened.filter((stream) => !stream.destroyed).length + 1);
          const object = await objects.get(...args);
          opened.push(object.stream);
          return object;
        },
      };
      const stream = readSegments(observed, many);
      await new Promise((resolve) => stream.once('readable', resolve));
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(opened).toHaveLength(1);
      stream.destroy();
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(opened.map((inner) => inner.destroyed)).toEqual([true]);

      opened.length = 0;
      const all = readSegments(observed, many);
      expect((await buffer(all)).length).toBe(50_000_000);
      expect([opened.length, maxOpen]).toEqual([50, 1]);
    });

    test('an abort ends the stream', async () => {
      const { key, bytes } = await objects.put('s/mega', Buffer.alloc(5_000_000));
      const controller = new AbortController();
      const stream = readSegments(objects, [{ key, bytes, lines: 0 }], { signal: controller.signal });
      const reading = (async () => {
        for await (const _ of stream) controller.abort();
      })();
      await expect(reading).rejects.toThrow(/abort/i);
    });
  });
}
