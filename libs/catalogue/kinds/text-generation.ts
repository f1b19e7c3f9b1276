/** Continues a prompt, as `/v1/completions`. */
import { z } from 'zod';
import { completionChoice, optional, samplingFields } from '@millrace/contracts';
import { buildCompletion } from '../completion.ts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { textGenerationLimits } from '../limits.ts';

const tokens = z.array(z.int().nonnegative()).min(1);

/** As OpenAI has it: one or several, each as text or as token ids. */
const prompt = z.union([text, z.array(text).min(1).max(2_048), tokens, z.array(tokens).min(1).max(2_048)], {
  error: ({ input }) =>
    input === undefined
      ? 'it is required'
      : 'it must be a string, a list of strings, or lists of token ids, none of them empty or blank',
});

export const textGeneration = defineSingleCallKind({
  id: 'text-generation',
  title: 'Text generation',
  modalities: { in: ['text'], out: ['text'] },
  limits: textGenerationLimits,
  input: z.looseObject({
    prompt,
    ...samplingFields,
    top_k: optional(z.int().positive()),
    repetition_penalty: optional(z.number().positive()),
  }),
  output: z.looseObject({ choices: z.array(completionChoice).min(1) }),
  streams: true,
  toResponse: buildCompletion('cmpl', 'text_completion'),
  examples: [
    {
      model: 'sandbox/text-generation',
      input: { prompt: 'The mill turns because' },
      options: { max_tokens: 16 },
    },
  ],
});
