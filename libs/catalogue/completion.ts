/** The envelope that OpenAI puts around the choices of a chat or a text. */
import { randomUUID } from 'node:crypto';
import type { Report } from './define-task.ts';

type Given = Report & { choices: readonly object[] } & Record<string, unknown>;

/** @param prefix of the completion's id. */
export const completionOf =
  (prefix: string, object: string) =>
  ({ usage, simulated: _, choices, ...rest }: Given, { model }: { model: string }): object => ({
    id: `${prefix}-${randomUUID().replaceAll('-', '')}`,
    object,
    created: Math.floor(Date.now() / 1_000),
    model,
    choices,
    usage: usageOf(usage),
    ...rest,
  });

function usageOf(usage: Report['usage']) {
  const { inputTokens = 0, outputTokens = 0 } = usage ?? {};
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  };
}
