/** Finds the regions of an image, each as a mask: white inside the region. */
import { z } from 'zod';
import { mediaObject, mediaSource, optional } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { imageLimits } from '../limits.ts';
import { imageRule } from '../media.ts';

export const imageSegmentation = defineSingleCallKind({
  id: 'image-segmentation',
  title: 'Image segmentation',
  modalities: { in: ['image'], out: ['regions', 'image'] },
  limits: imageLimits,
  input: z.strictObject({
    image: mediaSource,
    subtask: optional(z.enum(['instance', 'panoptic', 'semantic'])),
    threshold: optional(z.number().min(0).max(1)),
  }),
  output: z.object({
    segments: z.array(z.object({ label: z.string(), score: z.number().optional(), mask: mediaObject })),
  }),
  media: { image: imageRule },
  examples: [{ model: 'sandbox/image-segmentation', input: { image: exampleImage } }],
});
