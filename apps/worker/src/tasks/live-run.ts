/** A task's run as its provider sees it: progress to whoever follows, words to whoever reads along, its id upstream kept. */
import { setTimeout as wait } from 'node:timers/promises';
import type { ClaimedTask, TaskStore } from '#database';
import { Conflict } from '#domain';
import type { Delta, Progress, Run } from '#providers';
import type { Bus } from '#realtime';
import type { Logger } from '#telemetry';

export interface LiveRun {
  /** @returns the run of one try. What an earlier one began upstream, in this process or another, is gone on with. */
  readonly createRun: (signal: AbortSignal) => Run;
  /** From the last try's beginning to the first piece of its answer, in ms; null where none came. */
  readonly firstTokenMs: number | null;
  /** No delta follows; settles when the last progress is written. */
  end(): Promise<void>;
}

/** Progress is written so often at most; the newest of what came between. */
const noteEveryMs = 500;

export function createLiveRun(
  task: ClaimedTask,
  deps: { tasks: Pick<TaskStore, 'recordProgress' | 'saveRunId'>; bus: Bus; log: Logger },
): LiveRun {
  const { taskId } = task;
  let resume = task.upstreamRunId ?? undefined;
  let newest: Progress | null = null;
  let highest = 0;
  let writing: Promise<void> | null = null;
  let isOver = false;
  let firstTokenMs: number | null = null;
  const writer = deps.bus.openStream(taskId, task.attempt);
  const over = new AbortController();

  const write = async () => {
    while (newest && !isOver) {
      const progress = newest;
      newest = null;
      try {
        await deps.tasks.recordProgress(task, progress);
        deps.bus.publishUpdate('task', { taskId });
      } catch (error) {
        deps.log.debug({ err: error }, 'progress was not written');
      }
      await wait(noteEveryMs, undefined, { signal: over.signal }).catch(() => undefined);
    }
    writing = null;
  };

  return {
    createRun(signal) {
      const resumed = resume;
      const began = performance.now();
      firstTokenMs = null;
      return {
        signal,
        ...(resumed !== undefined && { resume: resumed }),
        reportProgress(progress) {
          if (isOver) return;
          if (progress.percent !== undefined) highest = Math.max(highest, clamp(progress.percent));
          newest = { ...progress, ...(progress.percent !== undefined && { percent: highest }) };
          writing ??= write();
        },
        stream(delta: Delta) {
          if (isOver) return;
          firstTokenMs ??= performance.now() - began;
          writer.send(delta);
        },
        async saveRunId(run) {
          resume = run;
          if (await deps.tasks.saveRunId(task, run)) return;
          throw new Conflict('This attempt is void.', { code: 'attempt_void' });
        },
      };
    },
    get firstTokenMs() {
      return firstTokenMs;
    },
    async end() {
      isOver = true;
      writer.end();
      over.abort();
      await writing;
    },
  };
}

const clamp = (percent: number) => (Number.isFinite(percent) ? Math.min(Math.max(percent, 0), 100) : 0);
