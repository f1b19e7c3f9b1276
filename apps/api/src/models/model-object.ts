/** A model as the API answers it. */
import type { ModelObject } from '@millrace/contracts';
import type { AliveWorker, DesiredModelRow } from '#database';

export interface ModelState {
  /** Whether its provider keeps models in memory. */
  readonly isLocal: boolean;
  readonly workers: readonly AliveWorker[];
  readonly desired: readonly DesiredModelRow[];
}

export function toModelObject(id: string, { isLocal, workers, desired }: ModelState): ModelObject {
  const held = workers.flatMap((worker) =>
    worker.models.filter(({ model }) => model === id).map(({ model: _, ...of }) => ({ ...of, worker: worker.id })),
  );
  const is = (state: 'ready' | 'loading' | 'failed') => held.some((each) => each.state === state) && state;
  return {
    id,
    object: 'model',
    created: 0,
    owned_by: id.slice(0, Math.max(0, id.indexOf('/'))),
    millrace: {
      status: is('ready') || is('loading') || is('failed') || (isLocal ? 'unloaded' : 'available'),
      is_desired: desired.find(({ model }) => model === id)?.isDesired ?? false,
      workers: held,
    },
  };
}
