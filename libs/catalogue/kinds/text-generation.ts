/** Text that goes on from a prompt, as `/v1/completions`. */
import { z } from 'zod';
import { generationChoice, sampling } from '@millrace/contracts';
import { completionOf } from '../completion.ts';
import { defineTask } from '../define-task.ts';
import { text } from '../fields.ts';
import { generation } from '../limits.ts';

export const textGeneration = defineTask({
  id: 'text-generation',
  title: 'Text generation',
  modalities: { in: ['text'], out: ['text'] },
  endpoint: '/v1/completions',
  limits: generation,
  input: z.looseObject({
    prompt: text,
    ...sampling,
    top_k: z.int().positive().nullish(),
    repetition_penalty: z.number().positive().nullish(),
  }),
  output: z.looseObject({ choices: z.array(generationChoice).min(1) }),
  streams: true,
  wire: completionOf('cmpl', 'text_completion'),
  examples: [
    {
      model: 'sandbox/text-generation',
      input: { prompt: 'The mill turns because' },
      options: { max_tokens: 16 },
    },
  ],
});
