/** Gives a task back that this worker can't finish now, and puts it in the queue again. */
import type { ClaimedTask, TaskRunStore } from '#database';
import { buildLane, type ProviderFailure } from '#domain';
import { buildTaskJob, type Queues } from '#queues';
import type { Logger } from '#telemetry';
import type { Outcome } from '../inference/infer.ts';
import { toProviderHold } from '../release/provider-hold.ts';
import { defer, releaseAfterError, type ReleasableWork } from '../release/release-policy.ts';

export interface ReleaseTaskDeps {
  readonly tasks: Pick<TaskRunStore, 'release'>;
  readonly queues: Pick<Queues, 'add'>;
}

/** @returns the failure for which the task is deferred, if its deadline leaves time to run it again afterwards. */
export function findDeferral({ deadline }: ClaimedTask, outcome: Outcome): ProviderFailure | null {
  const hold = 'failure' in outcome ? toProviderHold(outcome.failure) : null;
  if (hold?.reason !== 'unavailable') return null;
  const resumesAt = Date.now() + (hold.failure.retryAfterMs ?? 0);
  return deadline === null || resumesAt < deadline.getTime() ? hold.failure : null;
}

/** Defers the task until the provider may take it. */
export async function deferTask(
  task: ClaimedTask,
  failure: ProviderFailure,
  deps: ReleaseTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  await requeue(task, await defer(toReleasableWork(task, deps), failure, signal, log), deps, log);
}

export async function releaseTask(
  task: ClaimedTask,
  error: unknown,
  deps: ReleaseTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  await requeue(task, await releaseAfterError(toReleasableWork(task, deps), error, signal, log), deps, log);
}

interface ReleasedTask {
  /** The generation of the next queue job. null when another attempt has claimed the task, or it has ended. */
  readonly generation: number | null;
  readonly delayMs: number;
}

const toReleasableWork = (task: ClaimedTask, { tasks }: ReleaseTaskDeps): ReleasableWork<ReleasedTask> => ({
  type: 'task',
  attempt: task.attempt,
  write: async ({ outcome, code, delayMs }) => ({
    generation: await tasks.release(task, outcome, code, delayMs),
    delayMs,
  }),
});

async function requeue(
  task: ClaimedTask,
  { generation, delayMs }: ReleasedTask,
  { queues }: ReleaseTaskDeps,
  log: Logger,
): Promise<void> {
  if (generation === null) return;
  const job = buildTaskJob({ ...task, generation }, delayMs);
  await queues.add('direct', buildLane(task.pool, task.provider), [job]).catch((error: unknown) => {
    log.warn({ err: error }, 'could not queue a released task; the reconcile job will queue it');
  });
}
