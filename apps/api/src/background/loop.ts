/** Repeats a function until its signal aborts: at once when woken, else after a pause. A failure is logged and retried. */
import type { Logger } from '#telemetry';

export interface Loop {
  /** Starts a run now; during a run, asks for one more. */
  readonly wake: () => void;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** @param name of the job, in the log. @param pauseMs between two runs that nothing wakes, and after a failed run. */
export function createLoop(name: string, pauseMs: number, run: () => Promise<void>, log: Logger): Loop {
  let runAgain = false;
  let endPause: (() => void) | null = null;
  const wake = () => {
    runAgain = true;
    endPause?.();
  };
  return {
    wake,
    async run(signal) {
      signal.addEventListener('abort', wake, { once: true });
      let failures = 0;
      while (!signal.aborted) {
        runAgain = false;
        try {
          await run();
          failures = 0;
        } catch (error) {
          if (failures++ === 0) log.warn({ err: error, job: name }, 'a background job failed; it is retried');
        }
        if (runAgain && failures === 0) continue;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, pauseMs);
          endPause = () => {
            clearTimeout(timer);
            resolve();
          };
          // After a failure the loop waits for the whole pause, also when it is woken.
          if (failures > 0 && !signal.aborted) endPause = null;
        });
        endPause = null;
      }
    },
  };
}
