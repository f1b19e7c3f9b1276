/** Work that goes on at the provider after the call that began it: looked at until it is done, begun once and no more. */
import { setTimeout as wait } from 'node:timers/promises';
import { ProviderFailure } from '#domain';
import type { Run } from './provider.ts';

export interface UpstreamRun {
  /** @returns the provider's id of the run. */
  start(): Promise<string>;
  /** @returns whether it is done. @throws ProviderFailure when it has failed, or can't be looked at now. */
  poll(id: string): Promise<boolean>;
  /** Tells the provider that nobody wants it any more. */
  cancel(id: string): Promise<void>;
}

/** Between looks: soon at first, for what is quick; then not so often that a provider would mind. */
const pause = { firstMs: 250, mostMs: 5_000, growth: 1.5 };

/** Looks that may fail in a row while the run itself may be well. */
const failuresInARow = 10;

/**
 * @returns the provider's id of the run, which is done.
 * @throws the reason of the run's signal, once the provider has been told; ProviderFailure.
 */
export async function pollUntilDone(
  run: Pick<Run, 'signal' | 'resume' | 'saveRunId'>,
  work: UpstreamRun,
): Promise<string> {
  const { signal } = run;
  let id = run.resume;
  const begin = async () => {
    const begun = await work.start();
    // Whoever takes over from here goes on with it.
    await run.saveRunId(begun);
    return begun;
  };
  // What the provider knows nothing of any more is begun again.
  const isKnown = async (begun: string) =>
    work.poll(begun).then(
      () => true,
      (error: unknown) => !isGone(error),
    );
  if (id === undefined || !(await isKnown(id))) id = await begin();
  try {
    let failures = 0;
    for (let ms = pause.firstMs; ; ms = Math.min(ms * pause.growth, pause.mostMs)) {
      signal.throwIfAborted();
      try {
        if (await work.poll(id)) return id;
        failures = 0;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ProviderFailure && error.retryable) || ++failures > failuresInARow)
          throw error;
        ms = Math.max(ms, error.retryAfterMs ?? 0);
      }
      await wait(ms, undefined, { signal });
    }
  } catch (error) {
    if (signal.aborted && isUnwanted(signal.reason)) await work.cancel(id).catch(() => undefined);
    signal.throwIfAborted();
    throw error;
  }
}

const isGone = (error: unknown) => error instanceof ProviderFailure && error.status === 404;

/** A cancel and a time-out end the run; a worker that stops, or has lost its claim, leaves it to the next attempt. */
function isUnwanted(reason: unknown): boolean {
  if (typeof reason !== 'object' || reason === null) return false;
  const { why, name } = reason as { why?: unknown; name?: unknown };
  return why === 'canceled' || name === 'TimeoutError';
}
