/** Connects a task's call with the outside: stores its progress, streams its deltas, and saves its upstream run id. */
import { sleepOrAbort } from '#async';
import type { ClaimedTask, TaskRunStore } from '#database';
import { Conflict } from '#domain';
import type { Delta, Progress, Run } from '#providers';
import type { Bus } from '#realtime';
import type { Logger } from '#telemetry';

export interface LiveRun {
  /** @returns the run of one attempt. It resumes the upstream run of an earlier attempt, also of another process. */
  readonly createRun: (signal: AbortSignal) => Run;
  /** ms from the start of the last attempt to the first piece of its answer. null when there was none. */
  readonly firstTokenMs: number | null;
  /** Ends the stream. Resolves when the last progress is written. */
  end(): Promise<void>;
}

export interface LiveRunDeps {
  readonly tasks: Pick<TaskRunStore, 'recordProgress' | 'saveRunId'>;
  readonly bus: Bus;
  readonly log: Logger;
}

/** Minimum pause between two writes of progress. Only the newest progress is written. */
const progressIntervalMs = 500;

export function createLiveRun(task: ClaimedTask, deps: LiveRunDeps): LiveRun {
  const { taskId } = task;
  let runId = task.upstreamRunId ?? undefined;
  let newest: Progress | null = null;
  let highestPercent = 0;
  let writing: Promise<void> | null = null;
  let firstTokenMs: number | null = null;
  const stream = deps.bus.openStream(taskId, task.attempt);
  const ended = new AbortController();

  const writeProgress = async () => {
    while (newest && !ended.signal.aborted) {
      const progress = newest;
      newest = null;
      try {
        await deps.tasks.recordProgress(task, progress);
        deps.bus.publishUpdate('task', { taskId });
      } catch (error) {
        deps.log.debug({ err: error }, 'could not write progress');
      }
      await sleepOrAbort(progressIntervalMs, ended.signal);
    }
    writing = null;
  };

  return {
    createRun(signal) {
      const resume = runId;
      const startedAt = performance.now();
      firstTokenMs = null;
      return {
        signal,
        ...(resume !== undefined && { resume }),
        reportProgress(progress) {
          if (ended.signal.aborted) return;
          const { percent } = progress;
          if (percent !== undefined) highestPercent = Math.max(highestPercent, toPercent(percent));
          newest = { ...progress, ...(percent !== undefined && { percent: highestPercent }) };
          writing ??= writeProgress();
        },
        stream(delta: Delta) {
          if (ended.signal.aborted) return;
          firstTokenMs ??= performance.now() - startedAt;
          stream.send(delta);
        },
        async saveRunId(id) {
          runId = id;
          if (await deps.tasks.saveRunId(task, id)) return;
          throw new Conflict('Another attempt has claimed this task.', { code: 'attempt_superseded' });
        },
      };
    },
    get firstTokenMs() {
      return firstTokenMs;
    },
    async end() {
      ended.abort();
      stream.end();
      await writing;
    },
  };
}

const toPercent = (value: number) => (Number.isFinite(value) ? Math.min(Math.max(value, 0), 100) : 0);
