/** Transforms an image as a prompt describes. */
import { z } from 'zod';
import { mediaObject, mediaSource, optional } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { imageGenerationFields, responseFormat, size, text } from '../fields.ts';
import { imageLimits } from '../limits.ts';
import { imageRule } from '../media.ts';

export const imageToImage = defineSingleCallKind({
  id: 'image-to-image',
  title: 'Image to image',
  modalities: { in: ['image', 'text'], out: ['image'] },
  limits: imageLimits,
  input: z.strictObject({
    image: z.union([mediaSource, z.array(mediaSource).min(1).max(16)], {
      error: ({ input }) =>
        input === undefined ? 'it is required' : 'it must be one image, or a list of at most 16',
    }),
    prompt: optional(text),
    strength: optional(z.number().min(0).max(1)),
    ...imageGenerationFields,
    size,
    n: optional(z.int().min(1).max(10)),
    response_format: responseFormat,
    output_format: optional(z.enum(['png', 'jpeg', 'webp'])),
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
