/** Generates music or sound from a description. */
import { z } from 'zod';
import { mediaObject, optional } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { seed, text } from '../fields.ts';
import { imageLimits } from '../limits.ts';

export const textToAudio = defineSingleCallKind({
  id: 'text-to-audio',
  title: 'Text to audio',
  modalities: { in: ['text'], out: ['audio'] },
  limits: imageLimits,
  input: z.strictObject({
    prompt: text,
    seconds: optional(z.number().positive().max(600)),
    guidance_scale: optional(z.number()),
    seed,
  }),
  output: z.object({ audio: mediaObject }),
  examples: [
    { model: 'sandbox/text-to-audio', input: { prompt: 'Water over a wheel' }, options: { seconds: 1 } },
  ],
});
