/** Repeats a function until its signal aborts: at once when woken, else after a pause. A failure is logged and retried. */
import { onAbort, sleepOrAbort } from '#async';
import type { Logger } from '#telemetry';

export interface Loop {
  /** Starts a run now; during a run, asks for one more. */
  readonly wake: () => void;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

/** @param name of the job, in the log. @param pauseMs between two runs that nothing wakes, and after a failed run. */
export function createLoop(name: string, pauseMs: number, run: () => Promise<void>, log: Logger): Loop {
  let runAgain = false;
  let pause = new AbortController();
  const wake = () => {
    runAgain = true;
    pause.abort();
  };
  return {
    wake,
    async run(signal) {
      const removeListener = onAbort(signal, wake);
      let failures = 0;
      while (!signal.aborted) {
        runAgain = false;
        try {
          await run();
          failures = 0;
        } catch (error) {
          if (failures++ === 0) log.warn({ err: error, job: name }, 'a background job failed; it is retried');
        }
        if (failures > 0) {
          // After a failure only the abort ends the pause.
          await sleepOrAbort(pauseMs, signal);
        } else if (!runAgain) {
          pause = new AbortController();
          await sleepOrAbort(pauseMs, pause.signal);
        }
      }
      removeListener();
    },
  };
}
