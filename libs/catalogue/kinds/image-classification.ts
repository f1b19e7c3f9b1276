/** Assigns classes to an image. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { classificationOutput, topK } from '../fields.ts';
import { classificationLimits } from '../limits.ts';
import { downscaledImageRule } from '../media.ts';

export const imageClassification = defineSingleCallKind({
  id: 'image-classification',
  title: 'Image classification',
  modalities: { in: ['image'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({ image: mediaSource, top_k: topK }),
  output: classificationOutput,
  media: { image: downscaledImageRule },
  examples: [{ model: 'sandbox/image-classification', input: { image: exampleImage } }],
});
