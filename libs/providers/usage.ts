/** Reads the usage that a provider reports: tokens, seconds of audio, and cost. */

/** Usage as OpenAI's old and new endpoints report it, with fields that other servers add. */
export interface UpstreamUsage {
  readonly prompt_tokens?: number;
  readonly input_tokens?: number;
  readonly completion_tokens?: number;
  readonly output_tokens?: number;
  /** Length of the audio, for models that are billed by time. */
  readonly seconds?: number | undefined;
  /** US dollars: https://openrouter.ai/docs/use-cases/usage-accounting; an object: https://docs.perplexity.ai. */
  readonly cost?: number | { readonly total_cost?: number } | null | undefined;
}

/** @param reported absent or null if the server reports no usage. */
export function parseUsage(reported: UpstreamUsage | null | undefined) {
  if (!reported) return undefined;
  const { prompt_tokens: prompt, completion_tokens: completion, seconds } = reported;
  const { input_tokens: inputTokens = prompt ?? 0, output_tokens: outputTokens = completion ?? 0 } = reported;
  const cost = parseCost(reported);
  return {
    inputTokens,
    outputTokens,
    ...(cost !== undefined && { cost }),
    ...(typeof seconds === 'number' && { seconds }),
  };
}

/** @returns the cost in US dollars as the server reports it. Fields that it calls an estimate are ignored. */
export function parseCost({ cost }: UpstreamUsage): number | undefined {
  const reported = typeof cost === 'object' ? cost?.total_cost : cost;
  return typeof reported === 'number' && Number.isFinite(reported) && reported >= 0 ? reported : undefined;
}
