/** What every object store must do, whichever adapter: each calls this with a way to make an empty one. */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { readSegments, SegmentDamaged, type ObjectStorage, type Segment } from '#storage';
import { forEachSeed } from '../../support/random.ts';

export interface StorageUnderTest {
  readonly objects: ObjectStorage;
  /** Number of half-written things that the store still holds anywhere, visible or not. */
  countUnfinished(): Promise<number>;
  cleanup(): Promise<void>;
  /** MB of a body that must not be held in memory, and MB by which memory may grow: 100 and 60 unless told. */
  readonly memoryLimit?: { readonly bodyMB: number; readonly growthMB: number };
}

const text = (value: string): Buffer => Buffer.from(value);

async function listKeys(objects: ObjectStorage, prefix: string, after?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects.list(prefix, after === undefined ? {} : { after })) keys.push(key);
  return keys;
}

async function* repeat(chunk: Uint8Array, times: number): AsyncGenerator<Uint8Array> {
  for (let time = 0; time < times; time++) yield chunk;
}

/** A body that never goes on after its first chunk, as an upload whose client has gone silent. */
function stalled(first: Uint8Array): { body: AsyncIterable<Uint8Array>; waiting: Promise<void> } {
  const { promise: waiting, resolve } = Promise.withResolvers<void>();
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield first;
    resolve();
    await new Promise(() => undefined);
  }
  return { body: chunks(), waiting };
}

export function objectStorageConformance(name: string, make: () => Promise<StorageUnderTest>): void {
  describe(`object store: ${name}`, () => {
    let on: StorageUnderTest;
    let objects: ObjectStorage;
    beforeEach(async () => {
      on = await make();
      objects = on.objects;
    });
    afterEach(async () => {
      expect(await on.countUnfinished()).toBe(0);
      await objects.close();
      await on.cleanup();
    });

    const fails = (code: string) => expect.objectContaining({ code });

    describe('put', () => {
      test('keeps what a buffer or a stream holds, and says what it is', async () => {
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

      test('keeps chunks of all sizes in their order, as reads that pile up under load have them', async () => {
        await forEachSeed(12, async (random) => {
          // Sizes around those at which a store gathers, passes on, or cuts its parts.
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

      test('copies each chunk: a source may use its memory again', async () => {
        const chunk = Buffer.alloc(1000);
        async function* lines(): AsyncGenerator<Uint8Array> {
          for (let line = 0; line < 700; line++) yield chunk.fill(line % 251);
        }
        await objects.put('reused', lines());
        const kept = await objects.read('reused');
        expect(kept.length).toBe(700_000);
        for (let line = 0; line < 700; line++) {
          expect(kept.subarray(line * 1000, line * 1000 + 1000).every((byte) => byte === line % 251)).toBe(
            true,
          );
        }
      });

      test('replaces whole objects: a reader sees the old or the new one, never a mixture', async () => {
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

      test('an open stream goes on with the object that it opened', async () => {
        const old = randomBytes(2_000_000);
        await objects.put('k', old);
        const { stream } = await objects.get('k');
        await objects.put('k', text('new'));
        expect((await buffer(stream)).equals(old)).toBe(true);
      });

      test('every put of other bytes gives another etag, even in quick succession', async () => {
        const etags = new Set<string>();
        for (let time = 100; time < 300; time++)
          etags.add((await objects.put('k', text(`no. ${time}`))).etag);
        expect(etags.size).toBe(200);
      });

      test('a type that the key does not stand for is refused', async () => {
        await expect(objects.put('a.jsonl', text(''), { contentType: 'text/html' })).rejects.toEqual(
          fails('content_type_mismatch'),
        );
        expect(await objects.head('a.jsonl')).toBeNull();
      });

      test('takes a large body in flat memory', async () => {
        const { bodyMB, growthMB } = on.memoryLimit ?? { bodyMB: 100, growthMB: 60 };
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

    describe('conditions', () => {
      test('of many puts that want a free key exactly one wins', async () => {
        const puts = Array.from({ length: 24 }, (_, at) =>
          objects.put('new/key', text(`writer ${at}`), { ifNoneMatch: '*' }).then(() => at),
        );
        const outcomes = await Promise.allSettled(puts);
        const winners = outcomes.flatMap((outcome) =>
          outcome.status === 'fulfilled' ? [outcome.value] : [],
        );
        expect(winners).toHaveLength(1);
        for (const outcome of outcomes)
          if (outcome.status === 'rejected') expect(outcome.reason).toEqual(fails('conflict'));
        expect((await objects.read('new/key')).toString()).toBe(`writer ${winners[0]}`);
      });

      test('of many puts that replace one etag exactly one wins, round after round', async () => {
        let { etag } = await objects.put('k', text('round 0'));
        for (let round = 1; round <= 10; round++) {
          const puts = Array.from({ length: 12 }, () =>
            objects.put('k', text(`round ${round}`), { ifMatch: etag }),
          );
          const won = (await Promise.allSettled(puts)).flatMap((o) =>
            o.status === 'fulfilled' ? [o.value] : [],
          );
          expect(won).toHaveLength(1);
          etag = won[0]!.etag;
          expect((await objects.head('k'))!.etag).toBe(etag);
        }
      });

      test('a counter under ifMatch loses no increment', async () => {
        await objects.put('count', text('0'));
        const increment = async (): Promise<void> => {
          for (;;) {
            const { etag, stream } = await objects.get('count');
            const next = Number((await buffer(stream)).toString()) + 1;
            const done = await objects.put('count', text(String(next)), { ifMatch: etag }).then(
              () => true,
              (error: { code: string }) => {
                expect(error.code).toBe('conflict');
                return false;
              },
            );
            if (done) return;
          }
        };
        await Promise.all(
          Array.from({ length: 6 }, async () => {
            for (let time = 0; time < 5; time++) await increment();
          }),
        );
        expect((await objects.read('count')).toString()).toBe('30');
      });

      test('a refused put leaves the object, and does not read its body to the end', async () => {
        const { etag } = await objects.put('k', text('first'));
        const body = Readable.from(repeat(Buffer.alloc(65_536), 1e9));
        await expect(objects.put('k', body, { ifNoneMatch: '*' })).rejects.toEqual(fails('conflict'));
        expect(body.destroyed).toBe(true);
        await expect(objects.put('k', text('x'), { ifMatch: `${etag}0` })).rejects.toEqual(fails('conflict'));
        await expect(objects.put('none', text('x'), { ifMatch: etag })).rejects.toEqual(fails('conflict'));
        expect((await objects.read('k')).toString()).toBe('first');
        expect(await listKeys(objects, '')).toEqual(['k']);
      });
    });

    describe('reading', () => {
      test('what is not there is NotFound, and null to head', async () => {
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

      const noRanges: [string, string, { start?: number; end?: number }, string][] = [
        ['one past the end', '0123456789', { start: 10 }, 'range_not_satisfiable'],
        ['far past the end', '0123456789', { start: 1e12, end: 1e13 }, 'range_not_satisfiable'],
        ['any of an empty object', '', { start: 0 }, 'range_not_satisfiable'],
        ['a first byte of an empty object', '', { start: 0, end: 0 }, 'range_not_satisfiable'],
        ['backwards', '0123456789', { start: 5, end: 4 }, 'invalid_range'],
        ['negative', '0123456789', { start: -1 }, 'invalid_range'],
        ['half a byte', '0123456789', { start: 0.5 }, 'invalid_range'],
        ['no number', '0123456789', { start: Number.NaN }, 'invalid_range'],
        ['past 2⁵³', '0123456789', { start: 0, end: 2 ** 53 }, 'invalid_range'],
      ];
      test.each(noRanges)('refused range: %s', async (_, content, range, code) => {
        await objects.put('k', text(content));
        await expect(objects.get('k', range)).rejects.toEqual(fails(code));
        await expect(objects.read('k', range)).rejects.toEqual(fails(code));
      });

      test('an empty object is read whole', async () => {
        await objects.put('k', text(''));
        const { stream, bytes, range } = await objects.get('k');
        expect([(await buffer(stream)).length, bytes, range]).toEqual([0, 0, null]);
        expect((await objects.read('k')).length).toBe(0);
      });

      test('an object that is not as large as its record says is damaged', async () => {
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

      test('an object of more than 256 MiB is not read into memory', async () => {
        await objects.put('huge', repeat(Buffer.alloc(8 * 1024 * 1024), 33));
        await expect(objects.read('huge')).rejects.toEqual(fails('read_too_large'));
        expect((await objects.read('huge', { start: 270_000_000, end: 270_000_003 })).length).toBe(4);
      });
    });

    describe('keys', () => {
      const bad: [string, unknown][] = [
        ['empty', ''],
        ['absolute', '/a'],
        ['ends in a slash', 'a/'],
        ['empty segment', 'a//b'],
        ['one dot', '.'],
        ['dot segment', 'a/./b'],
        ['two dots', '..'],
        ['climbs', '../a'],
        ['climbs inside', 'a/../../b'],
        ['climbs at the end', 'a/..'],
        ['encoded climb', '%2e%2e/a'],
        ['encoded slash', 'a%2fb'],
        ['encoded twice', '%252e%252e/a'],
        ['NUL', 'a\0b'],
        ['NUL after a good name', 'a.jsonl\0.png'],
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
        ['no string', undefined],
        ['array', ['a']],
      ];
      test.each(bad)('refused: %s', async (_, value) => {
        const key = value as string;
        const refused = expect.objectContaining({ name: 'InvalidInput', code: 'invalid_key' });
        await expect(objects.put(key, text('x'))).rejects.toEqual(refused);
        await expect(objects.get(key)).rejects.toEqual(refused);
        await expect(objects.read(key)).rejects.toEqual(refused);
        await expect(objects.head(key)).rejects.toEqual(refused);
        await expect(objects.delete(['good', key])).rejects.toEqual(refused);
        await expect(objects.signedUrl(key, { method: 'GET', expiresInS: 60 })).rejects.toEqual(refused);
        expect(await listKeys(objects, '')).toEqual([]);
      });

      test.each(['/a', '../', 'a//', '..', '.', 'a/..', 'a\0', '%2e', '.tmp/'])(
        'refused prefix: %p',
        async (prefix) => {
          await expect(listKeys(objects, prefix)).rejects.toEqual(fails('invalid_key'));
        },
      );

      test('one bad key among good ones deletes none of them', async () => {
        await objects.put('good', text('x'));
        await expect(objects.delete(['good', '../bad'])).rejects.toEqual(fails('invalid_key'));
        expect(await listKeys(objects, '')).toEqual(['good']);
      });

      test('taken: everything that our ids and names need, up to the caps', async () => {
        const good = [
          'a',
          '0',
          '_x',
          'A.b-C_d',
          'a..b',
          'files/file_01JX/part-0.jsonl.gz',
          'a/'.repeat(100) + 'b',
          'x'.repeat(200),
        ];
        for (const key of good) {
          await objects.put(key === 'a' ? 'a1' : key, text(key));
        }
        expect(await listKeys(objects, '')).toHaveLength(good.length);
      });
    });

    describe('types', () => {
      test.each([
        ['a/output.jsonl', 'application/jsonl'],
        ['a/output.jsonl.gz', 'application/gzip'],
        ['v.mp4', 'video/mp4'],
        ['i.PNG', 'image/png'],
        ['a.mp3', 'audio/mpeg'],
        ['jsonl', 'application/octet-stream'],
        ['x.jsonl/object', 'application/octet-stream'],
        ['x.constructor', 'application/octet-stream'],
      ])('%s is %s', async (key, contentType) => {
        await objects.put(key, text('x'));
        const opened = await objects.get(key);
        opened.stream.destroy();
        expect(opened.contentType).toBe(contentType);
        expect((await objects.head(key))!.contentType).toBe(contentType);
      });
    });

    describe('abort', () => {
      test('before, while a body stalls, and by a body that fails: nothing is left', async () => {
        const reason = new Error('caller left');
        await expect(objects.put('k', text('x'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);

        const controller = new AbortController();
        const { body, waiting } = stalled(Buffer.alloc(2_000_000));
        const put = objects.put('k', body, { signal: controller.signal });
        put.catch(() => undefined);
        await waiting;
        expect(await objects.head('k')).toBeNull();
        controller.abort(reason);
        await expect(put).rejects.toBe(reason);

        const failure = new Error('connection reset');
        const failing = async function* (): AsyncGenerator<Uint8Array> {
          yield Buffer.alloc(500_000);
          throw failure;
        };
        await expect(objects.put('k', failing())).rejects.toBe(failure);
        await expect(objects.put('k', Readable.from(failing()))).rejects.toBe(failure);
        expect(await listKeys(objects, '')).toEqual([]);
      });

      test('a failed put leaves what was there', async () => {
        await objects.put('k', text('kept'));
        const controller = new AbortController();
        const { body, waiting } = stalled(Buffer.alloc(2_000_000));
        const put = objects.put('k', body, { signal: controller.signal });
        put.catch(() => undefined);
        await waiting;
        controller.abort();
        await expect(put).rejects.toThrow(/abort/i);
        expect((await objects.read('k')).toString()).toBe('kept');
      });

      test('a source is closed when its put is aborted', async () => {
        const controller = new AbortController();
        const source = new Readable({ read: () => undefined });
        source.push(Buffer.alloc(1000));
        const put = objects.put('k', source, { signal: controller.signal });
        setTimeout(() => controller.abort(), 20);
        await expect(put).rejects.toThrow(/abort/i);
        expect(source.destroyed).toBe(true);
      });

      test('ends a stream that is read', async () => {
        await objects.put('k', Buffer.alloc(4_000_000));
        const controller = new AbortController();
        const { stream } = await objects.get('k', { signal: controller.signal });
        const reading = (async () => {
          for await (const _ of stream) controller.abort();
        })();
        await expect(reading).rejects.toThrow(/abort/i);
        await expect(objects.get('k', { signal: controller.signal })).rejects.toThrow(/abort/i);
      });
    });

    describe('list and delete', () => {
      test('in the order of the keys, by prefix, from a place on, over thousands', async () => {
        const numbers = Array.from(
          { length: 2500 },
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
          for (const after of [
            '',
            'a',
            'b',
            'b/x',
            'batches/b1/',
            'batches/b1/01234.jsonl',
            'batches/b1/01234.jsonlx',
            'batches/b2',
            'zz',
          ]) {
            expect(await listKeys(objects, prefix, after)).toEqual(
              all.filter((key) => key.startsWith(prefix) && key > after),
            );
          }
        }
        await objects.delete(numbers.filter((_, at) => at % 2 === 0));
        expect(await listKeys(objects, 'batches/b1/')).toEqual(numbers.filter((_, at) => at % 2 === 1));
        await objects.delete(all);
        expect(await listKeys(objects, '')).toEqual([]);
      });

      test('an entry says what head says', async () => {
        const { etag } = await objects.put('a/b.jsonl', text('12345'));
        for await (const entry of objects.list('')) {
          expect(entry).toEqual({ key: 'a/b.jsonl', bytes: 5, etag, modifiedAt: expect.any(Date) });
        }
      });

      test('a listing left early, and one over objects that vanish meanwhile, end cleanly', async () => {
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

      test('deleting twice, and what never was, is no error; a key can be used again', async () => {
        await objects.put('a/b/c', text('x'));
        await objects.delete(['a/b/c', 'a/b', 'a', 'never/was', 'a/b/c/d']);
        await objects.delete(['a/b/c']);
        await objects.delete([]);
        expect(await objects.head('a/b/c')).toBeNull();
        await objects.put('a/b/c', text('again'));
        expect((await objects.read('a/b/c')).toString()).toBe('again');
      });

      test('puts go well beside deletions that empty their folder', async () => {
        const rounds = Array.from({ length: 8 }, async (_, lane) => {
          for (let round = 0; round < 25; round++) {
            const key = `busy/folder/${lane}-${round}`;
            await objects.put(key, text(key));
            expect((await objects.read(key)).toString()).toBe(key);
            await objects.delete([key]);
          }
        });
        await Promise.all(rounds);
        expect(await listKeys(objects, '')).toEqual([]);
      });
    });

    describe('segments', () => {
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

      test('are read as one file, and so is each range of it', async () => {
        expect((await buffer(readSegments(objects, segments))).toString()).toBe(whole);
        expect((await buffer(readSegments(objects, []))).length).toBe(0);
        for (let start = 0; start < whole.length; start++) {
          for (const end of [start, start + 1, start + 9, whole.length - 1, 1e9]) {
            const read = await buffer(readSegments(objects, segments, { start, end }));
            expect(read.toString()).toBe(whole.slice(start, end + 1));
          }
        }
        expect(() => readSegments(objects, segments, { start: whole.length })).toThrow(
          fails('range_not_satisfiable'),
        );
        expect(() => readSegments(objects, [], { start: 0 })).toThrow(fails('range_not_satisfiable'));
        expect(() => readSegments(objects, segments, { start: 3, end: 2 })).toThrow(fails('invalid_range'));
      });

      test('a missing one, and one of another size, are damage that names it', async () => {
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

      test('are opened one at a time, only as far as they are read, and closed on the way out', async () => {
        const key = 's/mega';
        const { bytes } = await objects.put(key, Buffer.alloc(1_000_000));
        const many = Array.from({ length: 50 }, () => ({ key, bytes, lines: 0 }));
        const opened: Readable[] = [];
        let most = 0;
        const watched: Pick<ObjectStorage, 'get'> = {
          async get(...args) {
            most = Math.max(most, opened.filter((stream) => !stream.destroyed).length + 1);
            const object = await objects.get(...args);
            opened.push(object.stream);
            return object;
          },
        };
        const stream = readSegments(watched, many);
        await new Promise((resolve) => stream.once('readable', resolve));
        await new Promise((resolve) => setTimeout(resolve, 100));
        expect(opened).toHaveLength(1);
        stream.destroy();
        await new Promise((resolve) => setTimeout(resolve, 100));
        expect(opened.map((inner) => inner.destroyed)).toEqual([true]);

        opened.length = 0;
        const all = readSegments(watched, many);
        expect((await buffer(all)).length).toBe(50_000_000);
        expect([opened.length, most]).toEqual([50, 1]);
      });

      test('an abort ends them', async () => {
        const { key, bytes } = await objects.put('s/mega', Buffer.alloc(5_000_000));
        const controller = new AbortController();
        const stream = readSegments(objects, [{ key, bytes, lines: 0 }], { signal: controller.signal });
        const reading = (async () => {
          for await (const _ of stream) controller.abort();
        })();
        await expect(reading).rejects.toThrow(/abort/i);
      });
    });

    test('a probe passes, and no listing shows it', async () => {
      await Promise.all([objects.probe(), objects.probe()]);
      expect(await listKeys(objects, '')).toEqual([]);
    });
  });
}
