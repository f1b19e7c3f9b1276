/** Sampling parameters under the names that Ollama's `options` has for them. */

interface SamplingInput {
  readonly max_tokens?: number | null | undefined;
  readonly max_completion_tokens?: number | null | undefined;
  readonly repetition_penalty?: number | null | undefined;
  readonly response_format?: Readonly<Record<string, unknown>> | undefined;
}

/** Parameters with the same name in both. The last three exist only in Ollama. */
const sameName = [
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
