/** Aborted puts and reads, and bodies that fail. */
import { Readable } from 'node:stream';
import type { ObjectStorage } from '#storage';
import { listKeys, stall, text, type StorageUnderTest } from './subject.ts';

export function testAborts(subject: () => StorageUnderTest): void {
  describe('abort', () => {
    let objects: ObjectStorage;
    beforeEach(() => {
      objects = subject().objects;
    });

    test('an abort before the put or while the body stalls, and a body that fails, leave nothing', async () => {
      const reason = new Error('client disconnected');
      await expect(objects.put('k', text('x'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);

      const controller = new AbortController();
      const { body, waiting } = stall(Buffer.alloc(2_000_000));
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

    test('an aborted put keeps the existing object', async () => {
      await objects.put('k', text('kept'));
      const controller = new AbortController();
      const { body, waiting } = stall(Buffer.alloc(2_000_000));
      const put = objects.put('k', body, { signal: controller.signal });
      put.catch(() => undefined);
      await waiting;
      controller.abort();
      await expect(put).rejects.toThrow(/abort/i);
      expect((await objects.read('k')).toString()).toBe('kept');
    });

    test('closes the body of an aborted put', async () => {
      const controller = new AbortController();
      const source = new Readable({ read: () => undefined });
      source.push(Buffer.alloc(1000));
      const put = objects.put('k', source, { signal: controller.signal });
      setTimeout(() => controller.abort(), 20);
      await expect(put).rejects.toThrow(/abort/i);
      expect(source.destroyed).toBe(true);
    });

    test('an abort ends a stream that is being read', async () => {
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
}
