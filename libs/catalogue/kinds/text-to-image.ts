/** Generates images from a prompt. */
import { z } from 'zod';
import { mediaObject } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { imageGenerationFields, size, text } from '../fields.ts';
import { imageLimits } from '../limits.ts';

export const textToImage = defineSingleCallKind({
  id: 'text-to-image',
  title: 'Text to image',
  modalities: { in: ['text'], out: ['image'] },
  limits: imageLimits,
  input: z.object({
    prompt: text,
    ...imageGenerationFields,
    size,
    width: z.int().min(16).max(8_192).optional(),
    height: z.int().min(16).max(8_192).optional(),
    n: z.int().min(1).max(10).optional(),
    quality: z.string().optional(),
    style: z.string().optional(),
    background: z.enum(['transparent', 'opaque', 'auto']).optional(),
    output_format: z.enum(['png', 'jpeg', 'webp']).optional(),
    scheduler: z.string().optional(),
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
