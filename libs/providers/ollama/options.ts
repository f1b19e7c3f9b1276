/** What samples a text, under the names that Ollama has for it: its `options`. */

interface Sampling {
  readonly max_tokens?: number | null | undefined;
  readonly max_completion_tokens?: number | null | undefined;
  readonly repetition_penalty?: number | null | undefined;
  readonly response_format?: Readonly<Record<string, unknown>> | undefined;
}

/** Those that have the same name; the last are Ollama's alone. */
const same = [
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

export function toOllamaOptions(input: Sampling & Readonly<Record<string, unknown>>): object {
  const limit = input.max_completion_tokens ?? input.max_tokens;
  const given = same.flatMap((name) => (input[name] == null ? [] : [[name, input[name]] as const]));
  return {
    ...Object.fromEntries(given),
    ...(limit != null && { num_predict: limit }),
    ...(input.repetition_penalty != null && { repeat_penalty: input.repetition_penalty }),
  };
}

/** `json`, or the schema that the answer is to follow. */
export function toOllamaFormat({ response_format: format }: Sampling): unknown {
  if (format?.['type'] === 'json_object') return 'json';
  return (format?.['json_schema'] as { schema?: unknown } | undefined)?.schema;
}
