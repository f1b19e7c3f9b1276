/**
 * A task that was cancelled, or ran out of time, when its worker was dead: its job comes to another one, which tells
 * the upstream in the dead one's place. A run that its worker has ended already is ended twice, which changes nothing.
 */
import type { KindId } from '#catalogue';
import type { TaskStore } from '#database';
import type { Route } from '#providers';
import type { Logger } from '#telemetry';

export interface EndOrphanedRunDeps {
  readonly tasks: Pick<TaskStore, 'findOrphanedRun'>;
  readonly route: (model: string, kind: KindId) => Route;
}

/** Does nothing for a task that is not over, or has begun nothing upstream. Never rejects. */
export async function endOrphanedRun(taskId: string, deps: EndOrphanedRunDeps, log: Logger): Promise<void> {
  try {
    const left = await deps.tasks.findOrphanedRun(taskId);
    if (!left) return;
    const { provider, model } = deps.route(left.model, left.kind as KindId);
    await provider.cancelRun?.(model, left.runId);
    log.info({ model: left.model }, 'told the upstream that nobody wants what a lost worker had begun');
  } catch (error) {
    log.warn({ err: error }, 'could not tell the upstream that a run is over');
  }
}
