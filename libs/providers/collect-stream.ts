/** Forwards the chunks of a streamed response as they arrive, and collects the complete output. */
import { streamInterrupted, unreachable } from './failures.ts';
import type { Run } from './run.ts';
import { parseUsage, type UpstreamUsage } from './usage.ts';

interface StreamCollector<Chunk> {
  /** @returns whether the run's caller was sent any part of it. */
  add(chunk: Chunk, run: Run): boolean;
  readonly isComplete: boolean;
  readonly choices: readonly object[];
}

/**
 * @param read reads the whole stream and passes each chunk to its callback.
 * @throws ProviderFailure; not retryable once a part of the output has been forwarded.
 */
export async function collectStream<Chunk extends { usage?: UpstreamUsage | null }, Output>(
  provider: string,
  run: Run,
  collector: StreamCollector<Chunk>,
  read: (onChunk: (chunk: Chunk) => void) => Promise<void>,
): Promise<Output> {
  let hasForwarded = false;
  let usage: UpstreamUsage | null | undefined;
  try {
    await read((chunk) => {
      hasForwarded = collector.add(chunk, run) || hasForwarded;
      usage = chunk.usage ?? usage;
    });
    run.signal.throwIfAborted(); // The client libraries end an aborted stream without an error.
    if (!collector.isComplete) throw unreachable(provider, undefined);
  } catch (error) {
    run.signal.throwIfAborted();
    throw hasForwarded ? streamInterrupted(provider, error) : error;
  }
  return { choices: collector.choices, usage: parseUsage(usage) } as Output;
}
