/** Loads or unloads a local model: records what is desired, then tells the workers of its pool. */
import type { ModelObject } from '@millrace/contracts';
import type { DesiredModelStore } from '#database';
import { InvalidInput } from '#domain';
import type { Providers } from '#providers';
import type { Bus } from '#realtime';
import type { ReadModel } from './read-model.ts';
import { isLocalModel, isServed } from './served-models.ts';

/** @throws InvalidInput `model_not_held` for a model that no worker holds in memory. */
export type SetDesiredModel = (model: string, isDesired: boolean) => Promise<ModelObject>;
export const SET_DESIRED_MODEL = Symbol('set desired model');

export interface SetDesiredModelDeps {
  readonly desiredModels: Pick<DesiredModelStore, 'set'>;
  readonly providers: Providers;
  readonly bus: Pick<Bus, 'publish'>;
  readonly readModel: ReadModel;
}

export function setDesiredModelWith(deps: SetDesiredModelDeps): SetDesiredModel {
  const { desiredModels, providers, bus, readModel } = deps;
  return async (model, isDesired) => {
    if (!isServed(model, providers) || !isLocalModel(model, providers)) {
      throw new InvalidInput('No worker holds this model in its memory: it needs no loading.', {
        code: 'model_not_held',
        param: 'model',
      });
    }
    await desiredModels.set(model, isDesired);
    void bus.publish('desired_models.changed', {});
    return readModel(model);
  };
}
