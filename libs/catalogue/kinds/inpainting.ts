/** Replaces the masked part of an image. The white part of the mask is replaced. */
import { z } from 'zod';
import { mediaObject, mediaSource, optional } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { imageGenerationFields, responseFormat, size, text } from '../fields.ts';
import { imageLimits } from '../limits.ts';
import { imageRule } from '../media.ts';

export const inpainting = defineSingleCallKind({
  id: 'inpainting',
  title: 'Inpainting',
  modalities: { in: ['image', 'text'], out: ['image'] },
  limits: imageLimits,
  input: z.strictObject({
    image: mediaSource,
    mask: mediaSource,
    prompt: text,
    strength: optional(z.number().min(0).max(1)),
    ...imageGenerationFields,
    size,
    n: optional(z.int().min(1).max(10)),
    response_format: responseFormat,
    output_format: optional(z.enum(['png', 'jpeg', 'webp'])),
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
