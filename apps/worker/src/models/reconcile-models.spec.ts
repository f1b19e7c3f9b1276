import type { HeldModel, Provider } from '#providers';
import { createLogger } from '#telemetry';
import { ModelReconciler } from './reconcile-models.ts';

const log = createLogger('test', 'silent');
const at = (ms: number) => new Date(ms);

/** A provider that notes what it is told, and the wishes that it is told by. */
function house(held: Partial<HeldModel>[], wishes: { model: string; isDesired: boolean; changedAt: Date }[]) {
  const told: string[] = [];
  const models = {
    list: () =>
      held.map(
        (one) =>
          ({ state: 'ready', bytes: 1, device: 'cpu', dtype: 'q8', usedAt: at(0), ...one }) as HeldModel,
      ),
    load: async (model: string) => void told.push(`load ${model}`),
    unload: async (model: string) => {
      told.push(`unload ${model}`);
      throw new Error('busy');
    },
    close: async () => undefined,
  };
  const local = { id: 'local', pool: 'local', models } as unknown as Provider;
  const hosted = { id: 'hosted', pool: 'remote' } as unknown as Provider;
  const options = { providers: [local, hosted], desiredModels: { list: async () => wishes }, log };
  return { told, on: (pools: string[]) => new ModelReconciler({ ...options, pools }) };
}

test('what is wanted is loaded, unless it is there; what failed is tried again', async () => {
  const wanted = ['new', 'there', 'failed'].map((name) => ({
    model: `local/org/${name}`,
    isDesired: true,
    changedAt: at(1),
  }));
  const held = [{ model: 'org/there' }, { model: 'org/failed', state: 'failed' as const }];
  const { told, on } = house(held, [...wanted, { model: 'hosted/x', isDesired: true, changedAt: at(1) }]);
  await on(['local']).reconcile();
  expect(told).toEqual(['load org/new', 'load org/failed']);
});

test('what is no longer wanted is unloaded, unless somebody has used it since', async () => {
  const wishes = ['idle', 'used', 'gone'].map((name) => ({
    model: `local/${name}`,
    isDesired: false,
    changedAt: at(1_000),
  }));
  const held = [
    { model: 'idle', usedAt: at(999) },
    { model: 'used', usedAt: at(1_001) },
  ];
  const { told, on } = house(held, wishes);
  await on(['local']).reconcile();
  expect(told).toEqual(['unload idle']);
});

test('a worker of another pool holds nothing, and a wish that can’t be read is not the end', async () => {
  const { told, on } = house([], [{ model: 'local/x', isDesired: true, changedAt: at(1) }]);
  const elsewhere = on(['remote']);
  await elsewhere.reconcile();
  expect([told, elsewhere.list()]).toEqual([[], []]);
  let isAway = true;
  const desiredModels = {
    list: async () => {
      if (isAway) throw new Error('away');
      return [];
    },
  };
  const held = new ModelReconciler({ providers: [], pools: [], desiredModels, log });
  await held.reconcile();
  isAway = false;
  await expect(held.reconcile()).resolves.toBeUndefined();
});
