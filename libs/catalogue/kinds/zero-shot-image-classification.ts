/** Assigns the request's own labels to an image. */
import { z } from 'zod';
import { mediaSource, optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { classificationOutput, texts } from '../fields.ts';
import { classificationLimits } from '../limits.ts';
import { downscaledImageRule } from '../media.ts';

export const zeroShotImageClassification = defineSingleCallKind({
  id: 'zero-shot-image-classification',
  title: 'Zero-shot image classification',
  modalities: { in: ['image', 'text'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({
    image: mediaSource,
    candidate_labels: texts,
    hypothesis_template: optional(storedText()),
  }),
  output: classificationOutput,
  media: { image: downscaledImageRule },
  examples: [
    {
      model: 'sandbox/zero-shot-image-classification',
      input: { image: exampleImage, candidate_labels: ['mill', 'bridge'] },
    },
  ],
});
