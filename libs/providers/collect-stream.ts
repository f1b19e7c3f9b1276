/** Passes the pieces of a streamed answer on as they come, and puts the whole together. */
import { streamInterrupted, unreachable } from './failures.ts';
import type { Run } from './provider.ts';
import type { UpstreamUsage } from './stream-collectors.ts';

interface Gathering<Chunk> {
  /** @returns whether anything of it was passed on. */
  add(chunk: Chunk, run: Run): boolean;
  readonly isComplete: boolean;
  readonly choices: readonly object[];
}

/** Some servers leave the count out, or send null for it. */
export function parseUsage(counted: UpstreamUsage | null | undefined) {
  if (!counted) return undefined;
  const { prompt_tokens: prompt, completion_tokens: completion, seconds } = counted;
  const { input_tokens: inputTokens = prompt ?? 0, output_tokens: outputTokens = completion ?? 0 } = counted;
  const cost = parseCost(counted);
  return {
    inputTokens,
    outputTokens,
    ...(cost !== undefined && { cost }),
    ...(typeof seconds === 'number' && { seconds }),
  };
}

/** What the server says that a call has cost, in US dollars; what it calls an estimate is none. */
export function parseCost({ cost }: UpstreamUsage): number | undefined {
  const said = typeof cost === 'object' ? cost?.total_cost : cost;
  return typeof said === 'number' && Number.isFinite(said) && said >= 0 ? said : undefined;
}

/**
 * @param read reads all of the stream, each chunk through its callback.
 * @throws ProviderFailure; where a piece has gone out, one that has nothing begun again.
 */
export async function collectStream<Chunk extends { usage?: UpstreamUsage | null }, Output>(
  provider: string,
  run: Run,
  gathering: Gathering<Chunk>,
  read: (take: (chunk: Chunk) => void) => Promise<void>,
): Promise<Output> {
  let hasBegun = false;
  let counted: UpstreamUsage | null | undefined;
  try {
    await read((chunk) => {
      hasBegun = gathering.add(chunk, run) || hasBegun;
      counted = chunk.usage ?? counted;
    });
    run.signal.throwIfAborted(); // Clients end an aborted stream as if it were complete.
    if (!gathering.isComplete) throw unreachable(provider, undefined);
  } catch (error) {
    run.signal.throwIfAborted();
    throw hasBegun ? streamInterrupted(provider, error) : error;
  }
  return { choices: gathering.choices, usage: parseUsage(counted) } as Output;
}
