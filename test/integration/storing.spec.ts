/** A slot is for lines that run: what they came to is stored while the next chunk has the slot. */
import type { ObjectStore } from '#storage';
import { Slots } from '../../apps/worker/src/batches/slots.ts';
import { until } from '../support/platform.ts';
import { millLine, openMill, type Mill } from './mill.ts';

let mill: Mill;
beforeAll(async () => {
  mill = await openMill();
});
afterAll(() => mill?.close());

/** A store that keeps what it is given only when told to. */
function slowStore(store: ObjectStore) {
  const waiting: (() => void)[] = [];
  const put: ObjectStore['put'] = async (...given) => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return store.put(...given);
  };
  const slow = new Proxy(store, {
    get: (target, name) => {
      if (name === 'put') return put;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return { slow, waiting };
}

test('one slot, two chunks, and a store that takes its time', async () => {
  const lines = Array.from({ length: 100 }, (_, at) => millLine(at + 1)).join('\n');
  const batchId = await mill.planned(lines);
  const [first, second] = await mill.house.chunks.dispatch(8, 2, 8);
  const { slow, waiting } = slowStore(mill.store);
  const slots = new Slots(1);
  const claims: number[] = [];
  const chunks = Object.create(mill.house.chunks, {
    claim: {
      async value(...given: Parameters<typeof mill.house.chunks.claim>) {
        claims.push(waiting.length);
        return mill.house.chunks.claim(...given);
      },
    },
  }) as typeof mill.house.chunks;
  const runs = [first!, second!].map((delivery) => mill.run(delivery, { slots, chunks, store: slow }));
  await until(() => waiting.length === 2, { what: 'both chunks to be stored', withinMs: 10_000 });
  // The second was claimed when the first had run, and before it was stored; nothing shows as done that is not kept.
  expect(claims).toEqual([0, 1]);
  expect(await mill.house.row(batchId)).toMatchObject({ status: 'in_progress', chunksDone: 0 });
  waiting.forEach((goOn) => goOn());
  await Promise.all(runs);
  expect(await mill.house.row(batchId)).toMatchObject({ status: 'completed', chunksDone: 2, completed: 100 });
});
