/** Finds the objects in an image, with their boxes in pixels of the image as sent. */
import { z } from 'zod';
import { mediaSource, optional } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { boundingBox } from '../fields.ts';
import { classificationLimits } from '../limits.ts';
import { imageRule } from '../media.ts';

export const objectDetection = defineSingleCallKind({
  id: 'object-detection',
  title: 'Object detection',
  modalities: { in: ['image'], out: ['regions'] },
  limits: classificationLimits,
  input: z.strictObject({ image: mediaSource, threshold: optional(z.number().min(0).max(1)) }),
  output: z.object({
    objects: z.array(z.object({ label: z.string(), score: z.number(), box: boundingBox })),
  }),
  media: { image: imageRule },
  examples: [
    { model: 'sandbox/object-detection', input: { image: exampleImage }, options: { threshold: 0.5 } },
  ],
});
