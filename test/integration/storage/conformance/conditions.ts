/** Conditional puts. */
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ObjectStorage } from '#storage';
import { fails, listKeys, repeat, text, type StorageUnderTest } from './subject.ts';

export function testConditions(subject: () => StorageUnderTest): void {
  describe('conditions', () => {
    let objects: ObjectStorage;
    beforeEach(() => {
      objects = subject().objects;
    });

    test('of concurrent puts with ifNoneMatch exactly one succeeds', async () => {
      const puts = Array.from({ length: 24 }, (_, at) =>
        objects.put('new/key', text(`writer ${at}`), { ifNoneMatch: '*' }).then(() => at),
      );
      const outcomes = await Promise.allSettled(puts);
      const winners = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      expect(winners).toHaveLength(1);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toEqual(fails('conflict'));
      expect((await objects.read('new/key')).toString()).toBe(`writer ${winners[0]}`);
    });

    test('of concurrent puts with the same ifMatch exactly one succeeds, in each of 10 rounds', async () => {
      let { etag } = await objects.put('k', text('round 0'));
      for (let round = 1; round <= 10; round++) {
        const puts = Array.from({ length: 12 }, () =>
          objects.put('k', text(`round ${round}`), { ifMatch: etag }),
        );
        const won = (await Promise.allSettled(puts)).flatMap((outcome) =>
          outcome.status === 'fulfilled' ? [outcome.value] : [],
        );
        expect(won).toHaveLength(1);
        etag = won[0]!.etag;
        expect((await objects.head('k'))!.etag).toBe(etag);
      }
    });

    test('a counter that is updated with ifMatch loses no increment', async () => {
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

    test('a rejected put keeps the object and does not read its body to the end', async () => {
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
}
