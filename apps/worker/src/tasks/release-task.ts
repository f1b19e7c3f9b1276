/** A task that a worker can't end now goes back into the queue, for another try or another time. */
import type { ClaimedTask, TaskStore } from '#database';
import { computeBackoffMs, Failure, judge, ProviderFailure } from '#domain';
import { queuePriority, type Queues } from '#queues';
import type { Logger } from '#telemetry';
import { retryUntilSettled } from '../release/retry-until-settled.ts';
import type { Outcome } from '../inference/infer.ts';

export interface ReleaseTaskDeps {
  readonly tasks: Pick<TaskStore, 'release'>;
  readonly queues: Pick<Queues, 'add'>;
}

/** How long a task waits after what it stands on (store, database, queue) failed it. */
const retry = { baseMs: 1_000, maxMs: 30_000 };

/** Tasks that are put off together come back up to this share later. */
const spread = 0.1;

interface Limit {
  readonly code: string;
  readonly retryAfterMs: number;
}

/** @returns a rate limit that is not worth waiting for with the task in hand, where its deadline lets it wait. */
export function findRateLimit({ deadline }: ClaimedTask, outcome: Outcome): Limit | null {
  if (!('failure' in outcome) || !(outcome.failure instanceof ProviderFailure)) return null;
  const { failure } = outcome;
  if (judge(failure) !== 'limited') return null;
  const retryAfterMs = failure.retryAfterMs ?? 0;
  const isInTime = deadline === null || Date.now() + retryAfterMs < deadline.getTime();
  return isInTime ? { code: failure.code, retryAfterMs } : null;
}

/** It is queued again for when the provider says; its tries are not used up. */
export async function deferTask(
  task: ClaimedTask,
  { code, retryAfterMs }: Limit,
  deps: ReleaseTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const delayMs = Math.round(retryAfterMs * (1 + spread * Math.random()));
  log.info({ code, delayMs }, 'the provider limits calls; the task is put off');
  await handBack(task, { outcome: 'released', code, delayMs }, deps, signal, log);
}

/** Nothing is lost: it is queued again, at once when this worker is stopping, else after a pause. */
export async function releaseTask(
  task: ClaimedTask,
  error: unknown,
  deps: ReleaseTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const released = signal.aborted;
  const code = error instanceof Failure ? error.code : 'internal_error';
  const delayMs = released ? 0 : computeBackoffMs(retry, task.attempt, Math.random());
  if (!released)
    log.error({ err: error, attempt: task.attempt, delayMs }, 'the task failed and will be tried again');
  const outcome = released ? 'released' : 'failed';
  await handBack(task, { outcome, code: released ? null : code, delayMs }, deps, signal, log);
}

interface Return {
  readonly outcome: 'released' | 'failed';
  readonly code: string | null;
  readonly delayMs: number;
}

async function handBack(
  task: ClaimedTask,
  { outcome, code, delayMs }: Return,
  deps: ReleaseTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const generation = await retryUntilSettled(() => deps.tasks.release(task, outcome, code, delayMs), signal);
  if (generation === null) return;
  const job = {
    payload: { taskId: task.taskId, generation },
    delayMs,
    ...queuePriority(task.priority),
  };
  await deps.queues.add('direct', task.pool, [job]).catch((failure: unknown) => {
    log.warn({ err: failure }, 'the queue did not take a task back; the sweep will deliver it');
  });
}
