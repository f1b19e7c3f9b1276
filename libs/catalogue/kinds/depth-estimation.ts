/** Estimates the distance of each pixel, as an image: lighter is nearer. */
import { z } from 'zod';
import { mediaObject, mediaSource } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { imageLimits } from '../limits.ts';
import { imageRule } from '../media.ts';

export const depthEstimation = defineSingleCallKind({
  id: 'depth-estimation',
  title: 'Depth estimation',
  modalities: { in: ['image'], out: ['image'] },
  limits: imageLimits,
  input: z.strictObject({ image: mediaSource }),
  output: z.object({ depth: mediaObject }),
  media: { image: imageRule },
  examples: [{ model: 'sandbox/depth-estimation', input: { image: exampleImage } }],
});
