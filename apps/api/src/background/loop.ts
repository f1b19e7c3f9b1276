/** Repeats a round until told to stop: at once when woken, else after a pause; a failed round is logged and repeated. */
import type { Logger } from '#telemetry';

export interface Loop {
  /** Asks for a round now, or for one more when one is under way. */
  readonly wake: () => void;
  readonly run: (signal: AbortSignal) => Promise<void>;
}

export function createLoop(name: string, pauseMs: number, round: () => Promise<void>, log: Logger): Loop {
  let wanted = false;
  let rouse: (() => void) | null = null;
  const wake = () => {
    wanted = true;
    rouse?.();
  };
  return {
    wake,
    async run(signal) {
      signal.addEventListener('abort', wake, { once: true });
      let failures = 0;
      while (!signal.aborted) {
        wanted = false;
        try {
          await round();
          failures = 0;
        } catch (error) {
          if (failures++ === 0) log.warn({ err: error, duty: name }, 'a duty failed and will be repeated');
        }
        if (wanted && failures === 0) continue;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, pauseMs);
          rouse = () => {
            clearTimeout(timer);
            resolve();
          };
          // A failed round waits its pause out, whoever calls.
          if (failures > 0 && !signal.aborted) rouse = null;
        });
        rouse = null;
      }
    },
  };
}
