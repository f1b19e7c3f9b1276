/** Sampling parameters under the names that Ollama's `options` has for them. */

interface SamplingInput {
  readonly max_tokens?: number | null | undefined;
  readonly max_completion_tokens?: number | null | undefined;
  readonly repetition_penalty?: number | null | undefined;
  readonly response_format?: Readonly<Record<string, unknown>> | null | undefined;
}

/** Parameters with the same name in both. Those from `min_p` on exist only in Ollama. */
export const sameName = [
  'temperature',
  'top_p',
  'top_k',
  'seed',
  'stop',
  'frequency_penalty',
  'presence_penalty',
  'min_p',
  'num_ctx',
  'repeat_penalty',
  'repeat_last_n',
  'typical_p',
  'num_keep',
] as const;

export function toOllamaOptions(input: SamplingInput & Readonly<Record<string, unknown>>): object {
  const maxTokens = input.max_completion_tokens ?? input.max_tokens;
  const copied = sameName.flatMap((name) => (input[name] == null ? [] : [[name, input[name]] as const]));
  return {
    ...Object.fromEntries(copied),
    ...(maxTokens != null && { num_predict: maxTokens }),
    ...(input.repetition_penalty != null && { repeat_penalty: input.repetition_penalty }),
  };
}

/** @returns `json`, or the JSON schema for the answer. */
export function toOllamaFormat({ response_format: format }: SamplingInput): unknown {
  if (format?.['type'] === 'json_object') return 'json';
  return (format?.['json_schema'] as { schema?: unknown } | undefined)?.schema;
}

/** @returns Ollama's `think`: true, false, or how much. `reasoning_effort` is OpenAI's name for it. */
export function toThink({ think, reasoning_effort: effort }: Readonly<Record<string, unknown>>): unknown {
  if (think !== undefined && think !== null) return think;
  return effort === 'none' ? false : (effort ?? undefined);
}
