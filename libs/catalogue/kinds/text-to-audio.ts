/** Music or sound as a text describes it. */
import { z } from 'zod';
import { mediaObject } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { seed, text } from '../fields.ts';
import { picture } from '../limits.ts';

export const textToAudio = defineTask({
  id: 'text-to-audio',
  title: 'Text to audio',
  modalities: { in: ['text'], out: ['audio'] },
  limits: picture,
  input: z.object({
    prompt: text,
    seconds: z.number().positive().max(600).optional(),
    guidance_scale: z.number().optional(),
    seed,
  }),
  output: z.object({ audio: mediaObject }),
  examples: [
    { model: 'sandbox/text-to-audio', input: { prompt: 'Water over a wheel' }, options: { seconds: 1 } },
  ],
});
