/** Gives a chunk back that this worker can't finish now. Its finished lines stay in checkpoints. */
import type { ChunkStore, ClaimedChunk } from '#database';
import type { Bus } from '#realtime';
import type { Logger } from '#telemetry';
import { ProviderHold } from '../../release/provider-hold.ts';
import { defer, releaseAfterError, type ReleasableWork } from '../../release/release-policy.ts';
import { retryUntilSettled } from '../../release/retry-until-settled.ts';
import { AttemptSuperseded } from './checkpoints.ts';

export interface ReleaseChunkDeps {
  readonly chunks: Pick<ChunkStore, 'release' | 'releaseAndPauseBatches'>;
  readonly bus: Bus;
}

/** @param error what ended the attempt. */
export async function releaseChunk(
  chunk: ClaimedChunk,
  error: unknown,
  deps: ReleaseChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const work: ReleasableWork<unknown> = {
    type: 'chunk',
    attempt: chunk.attempt,
    write: ({ outcome, code, delayMs }) => deps.chunks.release(chunk, outcome, code, delayMs),
  };
  if (error instanceof AttemptSuperseded) {
    log.warn({ attempt: chunk.attempt }, 'another attempt has claimed this chunk, so no more calls are made');
    return;
  }
  if (!(error instanceof ProviderHold)) await releaseAfterError(work, error, signal, log);
  else if (error.reason === 'unavailable') await defer(work, error.failure, signal, log);
  else await pauseBatches(chunk, error, deps, signal, log);
  void deps.bus.publish('chunk.done', { batchId: chunk.batchId });
}

/** Releases the chunk, and pauses the workspace's batches at this provider until their owner resumes them. */
async function pauseBatches(
  chunk: ClaimedChunk,
  { failure }: ProviderHold,
  { chunks, bus }: ReleaseChunkDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const { code } = failure;
  const paused = await retryUntilSettled(() => chunks.releaseAndPauseBatches(chunk, code), signal);
  log.error(
    { code, batches: paused.length, err: failure },
    "the provider rejects the account, so the workspace's batches there are paused",
  );
  for (const batchId of paused) bus.publishUpdate('batch', { batchId });
  void bus.publish('events.committed', {});
}
