/** The prompts of a text completion: OpenAI's clients send one or several, as text or as token ids. */
import { InvalidInput } from '#domain';

export type Prompt = string | string[] | number[] | number[][];

export function listPrompts(prompt: Prompt): (string | number[])[] {
  if (typeof prompt === 'string') return [prompt];
  return typeof prompt[0] === 'number' ? [prompt as number[]] : (prompt as (string | number[])[]);
}

/** @throws InvalidInput for a provider that takes one text a call. */
export function requireSingleText(prompt: Prompt): string {
  const [first, ...others] = listPrompts(prompt);
  if (typeof first === 'string' && others.length === 0) return first;
  throw new InvalidInput(
    "'prompt': this model's provider takes one text a request. Send each prompt as a request of its own, as text.",
    { code: 'invalid_request', param: 'prompt' },
  );
}
