/** Wraps the choices of a chat or text completion in OpenAI's response object. */
import { randomUUID } from 'node:crypto';
import type { ProviderReport } from './define-single-call-kind.ts';

type CompletionOutput = ProviderReport & { choices: readonly object[] } & Record<string, unknown>;

/** @param prefix of the completion's id. */
export const buildCompletion =
  (prefix: string, object: string) =>
  (
    { usage, reportedUsage, simulated: _, choices, ...rest }: CompletionOutput,
    { model }: { model: string },
  ): object => ({
    id: `${prefix}-${randomUUID().replaceAll('-', '')}`,
    object,
    created: Math.floor(Date.now() / 1_000),
    model,
    choices,
    // A provider that reports no usage says nothing about it, which is not the same as 0.
    ...(usage && { usage: toUsage(usage, reportedUsage) }),
    ...rest,
  });

/** Details that the provider reports, of cached tokens for example, are kept. */
function toUsage(usage: NonNullable<ProviderReport['usage']>, reported: ProviderReport['reportedUsage']) {
  const { inputTokens, outputTokens } = usage;
  const total = reported?.['total_tokens'];
  return {
    ...reported,
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: typeof total === 'number' && total >= 0 ? total : inputTokens + outputTokens,
  };
}
