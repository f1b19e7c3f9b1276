/** Transforms an image as a prompt describes. */
import { z } from 'zod';
import { mediaObject, mediaSource } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { imageGenerationFields, size, text } from '../fields.ts';
import { imageLimits } from '../limits.ts';
import { imageRule } from '../media.ts';

export const imageToImage = defineSingleCallKind({
  id: 'image-to-image',
  title: 'Image to image',
  modalities: { in: ['image', 'text'], out: ['image'] },
  limits: imageLimits,
  input: z.object({
    image: z.union([mediaSource, z.array(mediaSource).min(1).max(16)]),
    prompt: text.optional(),
    strength: z.number().min(0).max(1).optional(),
    ...imageGenerationFields,
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
