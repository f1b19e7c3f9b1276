/** Puts: content, order, memory, replacement and etags. */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ObjectStorage } from '#storage';
import { forEachSeed } from '../../../support/random.ts';
import { fails, repeat, text, type StorageUnderTest } from './subject.ts';

export function testPuts(subject: () => StorageUnderTest): void {
  describe('put', () => {
    let objects: ObjectStorage;
    beforeEach(() => {
      objects = subject().objects;
    });

    test('stores a buffer, a stream and an empty body, and returns size, etag and type', async () => {
      const bodies = {
        buffer: text('hello'),
        readable: Readable.from([text('he'), text('llo')]),
        empty: text(''),
      };
      for (const [label, body] of Object.entries(bodies)) {
        const expected = label === 'empty' ? '' : 'hello';
        const put = await objects.put(`a/${label}.jsonl`, body, { contentType: 'application/jsonl' });
        expect(put).toEqual({ key: `a/${label}.jsonl`, bytes: expected.length, etag: expect.any(String) });
        expect((await objects.read(put.key)).toString()).toBe(expected);
        expect(await objects.head(put.key)).toEqual({
          ...put,
          contentType: 'application/jsonl',
          modifiedAt: expect.any(Date),
        });
        expect(Math.abs((await objects.head(put.key))!.modifiedAt.getTime() - Date.now())).toBeLessThan(
          60_000,
        );
      }
    });

    test('keeps the order of chunks of all sizes', async () => {
      await forEachSeed(12, async (random) => {
        // Sizes around those at which a storage buffers, writes, or ends a part.
        const sizes = Array.from(
          { length: 40 },
          () => 2 ** random.int(0, 18) + random.int(-1, 1) * random.int(0, 9),
        );
        const whole = randomBytes(sizes.reduce((sum, size) => sum + Math.max(size, 0), 0));
        async function* chunks(): AsyncGenerator<Uint8Array> {
          let from = 0;
          for (const size of sizes) yield whole.subarray(from, (from += Math.max(size, 0)));
        }
        await objects.put('order', chunks());
        expect((await objects.read('order')).equals(whole)).toBe(true);
      });
    });

    test('copies each chunk, so that a source may reuse its memory', async () => {
      const chunk = Buffer.alloc(1000);
      async function* lines(): AsyncGenerator<Uint8Array> {
        for (let line = 0; line < 700; line++) yield chunk.fill(line % 251);
      }
      await objects.put('reused', lines());
      const stored = await objects.read('reused');
      expect(stored.length).toBe(700_000);
      for (let line = 0; line < 700; line++) {
        expect(stored.subarray(line * 1000, line * 1000 + 1000).every((byte) => byte === line % 251)).toBe(
          true,
        );
      }
    });

    test('replaces whole objects: a reader gets the old or the new one, never a mixture', async () => {
      const versions = ['a', 'b'].map((letter, at) => Buffer.alloc(300_000 + at, letter));
      await objects.put('k', versions[0]!);
      let writing = true;
      const writer = (async () => {
        for (let round = 0; round < 20; round++) await objects.put('k', versions[round % 2]!);
        writing = false;
      })();
      let reads = 0;
      while (writing || reads < 20) {
        const seen = await objects.read('k');
        expect(versions.some((version) => version.equals(seen))).toBe(true);
        reads++;
      }
      await writer;
    });

    test('an open stream returns the bytes of the object that it opened', async () => {
      const old = randomBytes(2_000_000);
      await objects.put('k', old);
      const { stream } = await objects.get('k');
      await objects.put('k', text('new'));
      expect((await buffer(stream)).equals(old)).toBe(true);
    });

    test('every put of other bytes has another etag, also in quick succession', async () => {
      const etags = new Set<string>();
      for (let time = 100; time < 300; time++) etags.add((await objects.put('k', text(`no. ${time}`))).etag);
      expect(etags.size).toBe(200);
    });

    test('a content type that does not match the key is rejected', async () => {
      await expect(objects.put('a.jsonl', text(''), { contentType: 'text/html' })).rejects.toEqual(
        fails('content_type_mismatch'),
      );
      expect(await objects.head('a.jsonl')).toBeNull();
    });

    test('memory does not grow with the size of the body', async () => {
      const { bodyMB, growthMB } = subject().memoryLimit ?? { bodyMB: 100, growthMB: 60 };
      const times = bodyMB * 16;
      const chunk = randomBytes(65_536);
      const before = process.memoryUsage().rss;
      let peak = 0;
      async function* body(): AsyncGenerator<Uint8Array> {
        for await (const piece of repeat(chunk, times)) {
          peak = Math.max(peak, process.memoryUsage().rss);
          yield piece;
        }
      }
      const { bytes } = await objects.put('large', body());
      expect(bytes).toBe(times * 65_536);
      expect(peak - before).toBeLessThan(growthMB * 1_000_000);

      const expected = createHash('sha256');
      for await (const piece of repeat(chunk, times)) expected.update(piece);
      const found = createHash('sha256');
      for await (const piece of (await objects.get('large')).stream) found.update(piece as Buffer);
      expect(found.digest('hex')).toBe(expected.digest('hex'));
    });
  });
}
