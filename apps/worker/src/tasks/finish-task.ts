/**
 * Records the end of a task whose provider has answered. Its result may be billed, so a result that can't be stored never
 * runs the task again: storage and database are waited for, and a result that they reject ends the task as failed.
 */
import { sleep } from '#async';
import type { ClaimedTask, TaskResult, TaskRunStore } from '#database';
import { computeBackoffMs, ResultNotStored, Unavailable } from '#domain';
import type { Logger } from '#telemetry';
import type { InferredTask } from './infer-task.ts';
import { deleteResult, storeResult, type StoreResultDeps } from './store-result.ts';

export interface FinishTaskDeps extends StoreResultDeps {
  readonly tasks: Pick<TaskRunStore, 'finish' | 'hasFinished'>;
}

const backoff = { baseMs: 250, maxMs: 5_000 };
/** How long the object storage is waited for. The answer stays in memory for that time. */
const maxStoreMs = 600_000;

/**
 * @returns the recorded result; null if another attempt has the task, or its owner has cancelled it.
 * @throws the reason of the signal; ResultNotStored if even a plain failure is rejected. The task is then released, and the
 * next attempt makes no call.
 */
export async function finishTask(
  task: ClaimedTask,
  inferred: InferredTask,
  deps: FinishTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<TaskResult | null> {
  const result = await storeOrFail(task, inferred, deps, signal, log);
  try {
    if (await finishUntilSettled(task, result, deps, signal)) return result;
    await deleteResult(result, deps.objects, log);
    return null;
  } catch (error) {
    signal.throwIfAborted();
    log.error({ err: error }, 'the result of a task could not be recorded, so the task fails');
    const failed = await storeResult(task, toNotStored(inferred, error), deps);
    const isFinished = await finishUntilSettled(task, failed, deps, signal).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new ResultNotStored(cause);
    });
    await deleteResult(result, deps.objects, log);
    return isFinished ? failed : null;
  }
}

/** Stores what the result refers to. @returns a failed result if that is impossible for `maxStoreMs`. */
async function storeOrFail(
  task: ClaimedTask,
  inferred: InferredTask,
  deps: FinishTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<TaskResult> {
  const startedAt = performance.now();
  for (let failures = 1; ; failures++) {
    try {
      return await storeResult(task, inferred, deps);
    } catch (error) {
      signal.throwIfAborted();
      const isOver = performance.now() - startedAt > maxStoreMs || !(error instanceof Unavailable);
      if (isOver) {
        log.error({ err: error }, 'the result of a task could not be stored, so the task fails');
        return storeResult(task, toNotStored(inferred, error), deps);
      }
      if (failures === 1) log.warn({ err: error }, 'could not store the result of a task; trying again');
      await sleep(computeBackoffMs(backoff, failures, Math.random()), signal);
    }
  }
}

/** Retries while the database is unavailable. @returns false if the attempt no longer holds the task. */
async function finishUntilSettled(
  task: ClaimedTask,
  result: TaskResult,
  { tasks }: FinishTaskDeps,
  signal: AbortSignal,
): Promise<boolean> {
  for (let failures = 0; ;) {
    try {
      // After a lost response, a second `finish` finds the task ended by the first.
      return (await tasks.finish(task, result)) || (failures > 0 && (await tasks.hasFinished(task)));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Unavailable)) throw error;
      await sleep(computeBackoffMs(backoff, ++failures, Math.random()), signal);
    }
  }
}

/** The same attempt as a failure, without anything that the provider reported. */
const toNotStored = (inferred: InferredTask, cause: unknown): InferredTask => ({
  ...inferred,
  outcome: { failure: new ResultNotStored(cause) },
});
