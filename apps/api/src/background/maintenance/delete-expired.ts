/** Deletes the rows of all features that are older than their retention. */
import type { Logger } from '#telemetry';
import type { RetentionStep } from '../background-jobs.ts';

/** Runs the steps one after the other. A failure ends the run; the next one starts again with the first step. */
export async function deleteExpired(steps: readonly RetentionStep[], log: Logger): Promise<void> {
  const deleted: Record<string, number> = {};
  for (const { rows, run } of steps) deleted[rows] = await run();
  if (Object.values(deleted).some((count) => count > 0)) log.info(deleted, 'deleted expired rows');
}
