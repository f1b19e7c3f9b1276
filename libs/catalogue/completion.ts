/** Wraps the choices of a chat or text completion in OpenAI's response object. */
import { randomUUID } from 'node:crypto';
import type { ProviderReport } from './define-single-call-kind.ts';

type CompletionOutput = ProviderReport & { choices: readonly object[] } & Record<string, unknown>;

/** @param prefix of the completion's id. */
export const buildCompletion =
  (prefix: string, object: string) =>
  ({ usage, simulated: _, choices, ...rest }: CompletionOutput, { model }: { model: string }): object => ({
    id: `${prefix}-${randomUUID().replaceAll('-', '')}`,
    object,
    created: Math.floor(Date.now() / 1_000),
    model,
    choices,
    usage: toUsage(usage),
    ...rest,
  });

function toUsage(usage: ProviderReport['usage']) {
  const { inputTokens = 0, outputTokens = 0 } = usage ?? {};
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  };
}
