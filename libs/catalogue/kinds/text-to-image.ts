/** Generates images from a prompt. */
import { z } from 'zod';
import { mediaObject, optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { imageGenerationFields, responseFormat, size, text } from '../fields.ts';
import { imageLimits } from '../limits.ts';

export const textToImage = defineSingleCallKind({
  id: 'text-to-image',
  title: 'Text to image',
  modalities: { in: ['text'], out: ['image'] },
  limits: imageLimits,
  input: z.strictObject({
    prompt: text,
    ...imageGenerationFields,
    size,
    width: optional(z.int().min(16).max(8_192)),
    height: optional(z.int().min(16).max(8_192)),
    n: optional(z.int().min(1).max(10)),
    quality: optional(storedText()),
    style: optional(storedText()),
    background: optional(z.enum(['transparent', 'opaque', 'auto'])),
    response_format: responseFormat,
    output_format: optional(z.enum(['png', 'jpeg', 'webp'])),
    scheduler: optional(storedText()),
  }),
  output: z.object({ images: z.array(mediaObject).min(1), revised_prompt: z.string().optional() }),
  examples: [
    {
      model: 'sandbox/text-to-image',
      input: { prompt: 'A water mill in the morning' },
      options: { size: '256x256' },
    },
  ],
});
