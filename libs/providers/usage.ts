/** Reads the usage that a provider reports: tokens, seconds of audio, and cost. */

/** Usage as OpenAI's old and new endpoints report it, with fields that other servers add. Any of them may be null. */
export interface UpstreamUsage {
  readonly prompt_tokens?: number | null;
  readonly input_tokens?: number | null;
  readonly completion_tokens?: number | null;
  readonly total_tokens?: number | null;
  readonly output_tokens?: number | null;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number | null } | null;
  readonly input_tokens_details?: { readonly cached_tokens?: number | null } | null;
  readonly completion_tokens_details?: { readonly reasoning_tokens?: number | null } | null;
  readonly output_tokens_details?: { readonly reasoning_tokens?: number | null } | null;
  /** DeepSeek's name for cached tokens: https://api-docs.deepseek.com/api/create-chat-completion. */
  readonly prompt_cache_hit_tokens?: number | null;
  /** Length of the audio, for models that are billed by time. */
  readonly seconds?: number | null | undefined;
  /** US dollars: https://openrouter.ai/docs/use-cases/usage-accounting; an object: https://docs.perplexity.ai. */
  readonly cost?: number | { readonly total_cost?: number } | null | undefined;
}

/** @param reported absent or null if the server reports no usage. What it does not report stays absent. */
export function parseUsage(reported: UpstreamUsage | null | undefined) {
  if (typeof reported !== 'object' || reported === null) return undefined;
  const cost = parseCost(reported);
  const cachedTokens = findCount(
    reported.prompt_tokens_details?.cached_tokens,
    reported.input_tokens_details?.cached_tokens,
    reported.prompt_cache_hit_tokens,
  );
  const reasoningTokens = findCount(
    reported.completion_tokens_details?.reasoning_tokens,
    reported.output_tokens_details?.reasoning_tokens,
  );
  const seconds = findNumber(reported.seconds);
  return {
    inputTokens: findCount(reported.input_tokens, reported.prompt_tokens) ?? 0,
    outputTokens: findCount(reported.output_tokens, reported.completion_tokens) ?? 0,
    ...(cachedTokens !== undefined && { cachedTokens }),
    ...(reasoningTokens !== undefined && { reasoningTokens }),
    ...(cost !== undefined && { cost }),
    ...(seconds !== undefined && { seconds }),
  };
}

const findNumber = (...values: unknown[]): number | undefined =>
  values.find(
    (value): value is number => typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER,
  );

/** The first value that is a count. Servers send null, negative numbers and text for what they do not count. */
const findCount = (...values: unknown[]): number | undefined => {
  const count = findNumber(...values);
  return count === undefined ? undefined : Math.floor(count);
};

/** @returns the cost in US dollars as the server reports it. Fields that it calls an estimate are ignored. */
export function parseCost({ cost }: UpstreamUsage): number | undefined {
  return findNumber(typeof cost === 'object' ? cost?.total_cost : cost);
}
