/** The masked part of a picture drawn anew; white in the mask is what is redrawn. */
import { z } from 'zod';
import { mediaObject, mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { drawing, size, text } from '../fields.ts';
import { picture } from '../limits.ts';
import { imageRule } from '../media.ts';

export const inpainting = defineTask({
  id: 'inpainting',
  title: 'Inpainting',
  modalities: { in: ['image', 'text'], out: ['image'] },
  limits: picture,
  input: z.object({
    image: mediaSource,
    mask: mediaSource,
    prompt: text,
    strength: z.number().min(0).max(1).optional(),
    ...drawing,
    size,
    n: z.int().min(1).max(10).optional(),
    output_format: z.enum(['png', 'jpeg', 'webp']).optional(),
  }),
  output: z.object({ images: z.array(mediaObject).min(1) }),
  media: { image: imageRule, mask: imageRule },
  examples: [
    {
      model: 'sandbox/inpainting',
      input: { image: exampleImage, mask: exampleImage, prompt: 'A wooden wheel' },
      options: { strength: 0.8, negative_prompt: 'blur' },
    },
  ],
});
