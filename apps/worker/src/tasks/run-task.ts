/**
 * Read this file first: how a worker runs a direct request's task. It waits for the provider
 * (acquire-permit.ts), claims the task, infers (infer-task.ts), stores the result and finishes (finish-task.ts). What it can't finish goes back to the queue (release-task.ts).
 *
 * Every write after the claim is ignored once another attempt has claimed the task, or its owner has cancelled it.
 */
import type { ClaimedTask, TaskResult, TaskRunStore } from '#database';
import { JobInterrupted, type Queues, type TaskRoute } from '#queues';
import type { Bus } from '#realtime';
import { taskRunSeconds, type Logger } from '#telemetry';
import type { RunningWorkRegistry } from '../heartbeat/running-work.ts';
import type { Release } from '../inference/call-limiter.ts';
import { claimUntilSettled } from '../release/retry-until-settled.ts';
import { acquirePermit } from './acquire-permit.ts';
import { endOrphanedRun } from './end-orphaned-run.ts';
import { finishTask, type FinishTaskDeps } from './finish-task.ts';
import { inferTask, type InferTaskDeps } from './infer-task.ts';
import { deferTask, findDeferral, releaseTask } from './release-task.ts';
import { startDeadline } from './task-deadline.ts';

export interface RunTaskDeps extends InferTaskDeps, FinishTaskDeps {
  readonly workerId: string;
  readonly tasks: TaskRunStore;
  readonly queues: Queues;
  readonly bus: Bus;
  readonly runningWork: RunningWorkRegistry;
  /** Wakes the relay. Throttled: not once per task. */
  readonly publishEventsCommitted: () => void;
}

export interface TaskJob {
  readonly taskId: string;
  readonly generation: number;
  readonly route?: TaskRoute | undefined;
}

/** Outputs up to this size are part of the `task.ended` message, so that the API needs no query. */
const maxInlineBytes = 32 * 2 ** 10;

export async function runTask(
  job: TaskJob,
  deps: RunTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const permit = await acquirePermit(job.route, deps, signal);
  try {
    const task = await claimUntilSettled(() => deps.tasks.claim(job, deps.workerId), signal);
    if (task) await runClaimed(task, { ...deps, permit }, signal, log);
    else await endOrphanedRun(job.taskId, deps, log); // Another attempt has it, or it has ended.
  } finally {
    permit?.();
  }
}

async function runClaimed(
  task: ClaimedTask,
  deps: RunTaskDeps & { readonly permit: Release | null },
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const { taskId: id, workspaceId: workspace, model } = task;
  const endWork = deps.runningWork.add({ type: 'task', id, workspace, model });
  const startedAt = performance.now();
  const deadline = startDeadline(task.deadline, signal);
  try {
    const inferred = await inferTask(task, deps, deadline.signal, log);
    const deferral = findDeferral(task, inferred.outcome);
    if (deferral) return await deferTask(task, deferral, deps, signal, log);
    const result = await finishTask(task, inferred, deps, signal, log);
    if (result) publishEnd(task, result, deps);
    const outcome = result?.status ?? 'superseded';
    taskRunSeconds.observe({ kind: task.kind, outcome }, (performance.now() - startedAt) / 1_000);
    log.debug({ attempt: task.attempt, outcome, providerMs: Math.round(inferred.providerMs) }, 'task ended');
  } catch (error) {
    if (!isCanceled(deadline.signal)) await releaseTask(task, error, deps, signal, log);
  } finally {
    deadline.end();
    endWork();
  }
}

function publishEnd({ taskId }: ClaimedTask, result: TaskResult, deps: RunTaskDeps): void {
  const { status, output, error } = result;
  const isInline =
    result.outputKey === null && !result.media?.length && (output?.length ?? 0) <= maxInlineBytes;
  void deps.bus.publish('task.ended', { taskId, ...(isInline && { end: { status, output, error } }) });
  deps.publishEventsCommitted();
}

const isCanceled = ({ reason }: AbortSignal) =>
  reason instanceof JobInterrupted && reason.reason === 'canceled';
