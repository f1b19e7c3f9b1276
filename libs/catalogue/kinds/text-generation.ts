/** Continues a prompt, as `/v1/completions`. */
import { z } from 'zod';
import { completionChoice, samplingFields } from '@millrace/contracts';
import { buildCompletion } from '../completion.ts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { textGenerationLimits } from '../limits.ts';

export const textGeneration = defineSingleCallKind({
  id: 'text-generation',
  title: 'Text generation',
  modalities: { in: ['text'], out: ['text'] },
  limits: textGenerationLimits,
  input: z.looseObject({
    prompt: text,
    ...samplingFields,
    top_k: z.int().positive().nullish(),
    repetition_penalty: z.number().positive().nullish(),
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
