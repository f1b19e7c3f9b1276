/** Reads the workers for those who follow them live. */
import type { WorkersState } from '@millrace/contracts';
import type { WorkerStore } from '#database';
import { toWorkerPage, workerListWindowS } from '../workers/worker-object.ts';
import type { Viewer } from './rooms.ts';

/** One read for all viewers. @returns builds the state that a viewer may see. */
export type ReadWorkers = () => Promise<(viewer: Viewer) => WorkersState>;
export const READ_WORKERS = Symbol('read workers');

export function readWorkersWith(workers: WorkerStore): ReadWorkers {
  return async () => {
    const snapshot = await workers.getSnapshot(workerListWindowS);
    return (viewer) => ({
      object: 'state',
      version: 1,
      type: 'workers',
      subject: 'workers',
      sequence: snapshot.takenAt.getTime(),
      data: toWorkerPage(snapshot, viewer),
    });
  };
}
