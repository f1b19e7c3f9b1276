import type { HostedModel, Provider } from '#providers';
import { createLogger } from '#telemetry';
import { ModelReconciler } from './reconcile-models.ts';

const log = createLogger('test', 'silent');
const at = (ms: number) => new Date(ms);

/** A provider that records its calls, and a reconciler for it with these desired models. */
function createFixture(
  hosted: Partial<HostedModel>[],
  desired: { model: string; isDesired: boolean; changedAt: Date }[],
) {
  const calls: string[] = [];
  const models = {
    list: () =>
      hosted.map(
        (one) =>
          ({ state: 'ready', bytes: 1, device: 'cpu', dtype: 'q8', usedAt: at(0), ...one }) as HostedModel,
      ),
    load: async (model: string) => void calls.push(`load ${model}`),
    unload: async (model: string) => {
      calls.push(`unload ${model}`);
      throw new Error('busy');
    },
    close: async () => undefined,
  };
  const local = { id: 'local', pool: 'local', models } as unknown as Provider;
  const remote = { id: 'hosted', pool: 'remote' } as unknown as Provider;
  const options = { providers: [local, remote], desiredModels: { list: async () => desired }, log };
  return { calls, create: (pools: string[]) => new ModelReconciler({ ...options, pools }) };
}

test('loads a desired model unless it is loaded, and retries one that failed', async () => {
  const desired = ['new', 'there', 'failed'].map((name) => ({
    model: `local/org/${name}`,
    isDesired: true,
    changedAt: at(1),
  }));
  const hosted = [{ model: 'org/there' }, { model: 'org/failed', state: 'failed' as const }];
  const { calls, create } = createFixture(hosted, [
    ...desired,
    { model: 'hosted/x', isDesired: true, changedAt: at(1) },
  ]);
  await create(['local']).reconcile();
  expect(calls).toEqual(['load org/new', 'load org/failed']);
});

test('unloads a model that is no longer desired, unless it was used since', async () => {
  const desired = ['idle', 'used', 'gone'].map((name) => ({
    model: `local/${name}`,
    isDesired: false,
    changedAt: at(1_000),
  }));
  const hosted = [
    { model: 'idle', usedAt: at(999) },
    { model: 'used', usedAt: at(1_001) },
  ];
  const { calls, create } = createFixture(hosted, desired);
  await create(['local']).reconcile();
  expect(calls).toEqual(['unload idle']);
});

test('a worker of another pool loads nothing, and a failed read of the desired models does not stop it', async () => {
  const { calls, create } = createFixture([], [{ model: 'local/x', isDesired: true, changedAt: at(1) }]);
  const elsewhere = create(['remote']);
  await elsewhere.reconcile();
  expect([calls, elsewhere.list()]).toEqual([[], []]);
  let isAway = true;
  const desiredModels = {
    list: async () => {
      if (isAway) throw new Error('away');
      return [];
    },
  };
  const reconciler = new ModelReconciler({ providers: [], pools: [], desiredModels, log });
  await reconciler.reconcile();
  isAway = false;
  await expect(reconciler.reconcile()).resolves.toBeUndefined();
});
