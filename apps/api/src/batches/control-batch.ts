/** Changes how an open batch runs: its priority, pause and resume. */
import type { BatchControlStore, BatchWithErrors } from '#database';
import type { Bus } from '#realtime';

/** @throws NotFound; Conflict if the batch has ended. */
export interface ControlBatch {
  setPriority(workspaceId: string, batchId: string, priority: number): Promise<BatchWithErrors>;
  pause(workspaceId: string, batchId: string): Promise<BatchWithErrors>;
  resume(workspaceId: string, batchId: string): Promise<BatchWithErrors>;
}
export const CONTROL_BATCH = Symbol('control batch');

export interface ControlBatchDeps {
  readonly control: Pick<BatchControlStore, 'setPriority' | 'pause' | 'resume'>;
  readonly bus: Pick<Bus, 'publish' | 'publishUpdate'>;
}

export function controlBatchWith({ control, bus }: ControlBatchDeps): ControlBatch {
  /** The dispatcher reads the batch again, as it does after its plan. */
  const wakeDispatcher = ({ batch }: BatchWithErrors) => {
    if (batch.chunkCount > 0) void bus.publish('batch.planned', { batchId: batch.id });
  };
  return {
    async setPriority(workspaceId, batchId, priority) {
      const updated = await control.setPriority(workspaceId, batchId, priority);
      wakeDispatcher(updated);
      return updated;
    },
    async pause(workspaceId, batchId) {
      const paused = await control.pause(workspaceId, batchId);
      bus.publishUpdate('batch', { batchId });
      return paused;
    },
    async resume(workspaceId, batchId) {
      const resumed = await control.resume(workspaceId, batchId);
      wakeDispatcher(resumed);
      bus.publishUpdate('batch', { batchId });
      return resumed;
    },
  };
}
