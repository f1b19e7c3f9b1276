/** Completes what a crash interrupted, by the steps that the features have added. */
import type { Logger } from '#telemetry';
import type { ReconcileStep } from '../background-jobs.ts';

/** Runs all steps, one after the other; a step that fails does not stop the others. */
export async function reconcile(steps: readonly ReconcileStep[], log: Logger): Promise<void> {
  for (const { name, run } of steps) {
    try {
      await run();
    } catch (error) {
      log.warn({ err: error, step: name }, 'a reconcile step failed; it is retried');
    }
  }
}
