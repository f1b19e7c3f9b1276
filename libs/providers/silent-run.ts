import type { Run } from './provider.ts';

/** A run of which nobody wants to hear before its end. Where it was begun upstream is forgotten with it. */
export function createSilentRun(signal: AbortSignal): Run {
  return {
    signal,
    reportProgress: () => undefined,
    stream: () => undefined,
    saveRunId: async () => undefined,
  };
}
