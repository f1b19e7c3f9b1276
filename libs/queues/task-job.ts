/** Builds the queue job of a task, the same wherever a task is queued. */
import type { NewJob } from './connect-queues.ts';
import { toQueuePriority } from './queue-priority.ts';

export interface TaskToQueue {
  readonly taskId: string;
  readonly generation: number;
  readonly workspaceId: string;
  readonly kind: string;
  readonly model: string;
  readonly priority: number;
}

/** @param delayMs time until the job may run. */
export function buildTaskJob(
  { taskId, generation, priority, workspaceId, kind, model }: TaskToQueue,
  delayMs = 0,
): NewJob<'direct'> {
  const payload = { taskId, generation, route: { workspaceId, kind, model } };
  return { payload, delayMs, ...toQueuePriority(priority) };
}
