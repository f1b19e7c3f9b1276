/** Reads the answer to a chat or text completion, streamed or whole: forwards its parts, and collects the output. */
import { invalidOutput, streamInterrupted, unreachable } from './failures.ts';
import type { AnswerPart } from './read-stream.ts';
import type { Run } from './run.ts';
import type { CompletionCollector } from './stream-collectors.ts';
import { parseUsage } from './usage.ts';

/**
 * @param isStreamed whether the caller asked for a stream. Otherwise nothing is forwarded, even if the server streams.
 * @param read reads the whole answer and passes each part to its callback.
 * @throws ProviderFailure; not retryable once a part of the output has been forwarded.
 */
export async function collectStream<Output>(
  provider: string,
  run: Run,
  isStreamed: boolean,
  collector: CompletionCollector,
  read: (onPart: (part: AnswerPart) => void) => Promise<void>,
): Promise<Output> {
  const reader: Run = isStreamed ? run : { ...run, stream: () => undefined };
  let hasForwarded = false;
  let last: unknown;
  try {
    await read(({ isChunk, body }) => {
      last = body;
      const isSent = isChunk ? collector.addChunk(body, reader) : collector.addWhole(body, reader);
      hasForwarded ||= isSent && isStreamed;
    });
    run.signal.throwIfAborted(); // The client libraries end an aborted stream without an error.
  } catch (error) {
    run.signal.throwIfAborted();
    throw hasForwarded ? streamInterrupted(provider, error) : error;
  }
  if (!collector.hasChoices) {
    // A stream that ended before it had said anything: the server, or what is before it, gave up.
    if (last === undefined) throw unreachable(provider, undefined);
    throw invalidOutput('it has no choices', undefined, last);
  }
  if (!collector.hasBegun) throw unreachable(provider, undefined);
  const { usage: reported } = collector;
  const usage = parseUsage(reported);
  return {
    ...collector.build(),
    ...(usage && { usage, reportedUsage: reported }),
  } as Output;
}
