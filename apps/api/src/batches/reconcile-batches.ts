/** The reconcile steps of batches, in their order: redeliver what waits, end batches, delete objects. */
import type { ReconcileStep } from '../background/background-jobs.ts';
import { deleteRetiredObjects, type DeleteRetiredObjectsDeps } from './delete-retired-objects.ts';
import { expireBatches, finishBatches, type EndBatchesDeps } from './end-batches.ts';
import { redeliverChunks, redeliverPlans, type RedeliverBatchesDeps } from './redeliver-batches.ts';

export const RECONCILE_BATCHES = Symbol('reconcile batches');

export type ReconcileBatchesDeps = RedeliverBatchesDeps & EndBatchesDeps & DeleteRetiredObjectsDeps;

export function reconcileBatchesWith(deps: ReconcileBatchesDeps): readonly ReconcileStep[] {
  return [
    { name: 'redeliverPlans', run: () => redeliverPlans(deps) },
    { name: 'redeliverChunks', run: () => redeliverChunks(deps) },
    { name: 'finishBatches', run: () => finishBatches(deps) },
    { name: 'expireBatches', run: () => expireBatches(deps) },
    { name: 'deleteRetired', run: () => deleteRetiredObjects(deps) },
  ];
}
