/** Reads one model: which workers have it loaded, and whether it is desired. */
import type { ModelObject } from '@millrace/contracts';
import type { DesiredModelStore, WorkerStore } from '#database';
import { NotFound } from '#domain';
import type { Providers } from '#providers';
import { toModelObject } from './model-object.ts';
import { isLocalModel, isServed } from './served-models.ts';

/** @throws NotFound `model_not_found` */
export type ReadModel = (name: string) => Promise<ModelObject>;
export const READ_MODEL = Symbol('read model');

export interface ReadModelDeps {
  readonly workers: Pick<WorkerStore, 'listAlive'>;
  readonly desiredModels: Pick<DesiredModelStore, 'list'>;
  readonly providers: Providers;
}

/** Seconds since its last heartbeat for which a worker's models are shown. */
export const aliveWithinS = 10;

export function readModelWith({ workers, desiredModels, providers }: ReadModelDeps): ReadModel {
  return async (name) => {
    if (!isServed(name, providers)) {
      throw new NotFound('No provider serves this model. GET /v1/models lists what is known.', {
        code: 'model_not_found',
        param: 'model',
      });
    }
    const [alive, desired] = await Promise.all([workers.listAlive(aliveWithinS), desiredModels.list()]);
    return toModelObject(name, { isLocal: isLocalModel(name, providers), workers: alive, desired });
  };
}
