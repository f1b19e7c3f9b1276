import type { Run } from './run.ts';

/** A run that reports nothing and does not store the upstream run's id: a later attempt starts a new run. */
export function createSilentRun(signal: AbortSignal): Run {
  return {
    signal,
    reportProgress: () => undefined,
    stream: () => undefined,
    saveRunId: async () => undefined,
  };
}
