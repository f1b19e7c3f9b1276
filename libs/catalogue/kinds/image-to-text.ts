/** Describes an image in text. */
import { z } from 'zod';
import { mediaSource, optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { classificationLimits } from '../limits.ts';
import { downscaledImageRule } from '../media.ts';

export const imageToText = defineSingleCallKind({
  id: 'image-to-text',
  title: 'Image to text',
  modalities: { in: ['image'], out: ['text'] },
  limits: classificationLimits,
  input: z.strictObject({
    image: mediaSource,
    prompt: optional(storedText(0, 1_000_000)),
    max_tokens: optional(z.int().positive()),
  }),
  output: z.object({ text: z.string() }),
  media: { image: downscaledImageRule },
  examples: [{ model: 'sandbox/image-to-text', input: { image: exampleImage } }],
});
