/**
 * Cancels the upstream run of a task that was cancelled or expired after its worker died. The task's queue job comes to
 * another worker, which cancels the run instead. If the first worker has cancelled it already, this changes nothing.
 */
import type { KindId } from '#catalogue';
import type { TaskRunStore } from '#database';
import type { Providers } from '#providers';
import type { Logger } from '#telemetry';

export interface EndOrphanedRunDeps {
  readonly tasks: Pick<TaskRunStore, 'findOrphanedRun'>;
  readonly route: Providers['route'];
}

/** Does nothing when the task has not ended, or has no upstream run. Never rejects. */
export async function endOrphanedRun(taskId: string, deps: EndOrphanedRunDeps, log: Logger): Promise<void> {
  try {
    const orphan = await deps.tasks.findOrphanedRun(taskId);
    if (!orphan) return;
    const route = deps.route(orphan.model, orphan.kind as KindId, orphan);
    await route.provider.cancelRun?.(route, orphan.runId);
    log.info({ model: orphan.model }, 'cancelled the upstream run of a task whose worker died');
  } catch (error) {
    log.warn({ err: error }, 'could not cancel an upstream run');
  }
}
