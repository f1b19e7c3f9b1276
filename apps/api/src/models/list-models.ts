/** Lists the models that providers list, that workers have loaded and that are desired. Other names of a provider work too. */
import type { ModelObject } from '@millrace/contracts';
import type { DesiredModelStore, WorkerStore } from '#database';
import type { Provider, Providers } from '#providers';
import { toModelObject } from './model-object.ts';
import { aliveWithinS } from './read-model.ts';
import { isLocalModel } from './served-models.ts';

export type ListModels = () => Promise<ModelObject[]>;
export const LIST_MODELS = Symbol('list models');

export interface ListModelsDeps {
  readonly workers: Pick<WorkerStore, 'listAlive'>;
  readonly desiredModels: Pick<DesiredModelStore, 'list'>;
  readonly providers: Providers;
}

export function listModelsWith({ workers, desiredModels, providers }: ListModelsDeps): ListModels {
  return async () => {
    const [alive, desired, ...named] = await Promise.all([
      workers.listAlive(aliveWithinS),
      desiredModels.list(),
      ...providers.list.map(listModelNames),
    ]);
    const held = alive.flatMap(({ models }) => models.map(({ model }) => model));
    const names = new Set([...named.flat(), ...held, ...desired.map(({ model }) => model)]);
    return [...names]
      .sort()
      .map((name) =>
        toModelObject(name, { isLocal: isLocalModel(name, providers), workers: alive, desired }),
      );
  };
}

async function listModelNames(provider: Provider): Promise<string[]> {
  return ((await provider.listModels?.()) ?? []).map((model) => `${provider.id}/${model}`);
}
