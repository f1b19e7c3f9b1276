/** A picture made from another, as a text says. */
import { z } from 'zod';
import { mediaObject, mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { drawing, size, text } from '../fields.ts';
import { picture } from '../limits.ts';
import { imageRule } from '../media.ts';

export const imageToImage = defineTask({
  id: 'image-to-image',
  title: 'Image to image',
  modalities: { in: ['image', 'text'], out: ['image'] },
  limits: picture,
  input: z.object({
    image: z.union([mediaSource, z.array(mediaSource).min(1).max(16)]),
    prompt: text.optional(),
    strength: z.number().min(0).max(1).optional(),
    ...drawing,
    size,
    n: z.int().min(1).max(10).optional(),
    output_format: z.enum(['png', 'jpeg', 'webp']).optional(),
  }),
  output: z.object({ images: z.array(mediaObject).min(1) }),
  media: { image: imageRule },
  examples: [
    {
      model: 'sandbox/image-to-image',
      input: { image: exampleImage },
      options: { prompt: 'The same mill in snow' },
    },
  ],
});
