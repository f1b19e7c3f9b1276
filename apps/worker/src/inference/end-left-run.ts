/**
 * A task that was cancelled, or ran out of time, when its worker was dead: its job comes to another one, which tells
 * the upstream in the dead one's place. A run that its worker has ended already is ended twice, which changes nothing.
 */
import type { KindId } from '#catalogue';
import type { TaskStore } from '#database';
import type { Route } from '#providers';
import type { Logger } from '#telemetry';

export interface LeftRunEnder {
  readonly tasks: Pick<TaskStore, 'leftRun'>;
  readonly route: (model: string, kind: KindId) => Route;
}

/** Does nothing for a task that is not over, or has begun nothing upstream. Never rejects. */
export async function endLeftRun(taskId: string, on: LeftRunEnder, log: Logger): Promise<void> {
  try {
    const left = await on.tasks.leftRun(taskId);
    if (!left) return;
    const { provider, model } = on.route(left.model, left.kind as KindId);
    await provider.endRun?.(model, left.run);
    log.info({ model: left.model }, 'told the upstream that nobody wants what a lost worker had begun');
  } catch (error) {
    log.warn({ err: error }, 'could not tell the upstream that a run is over');
  }
}
