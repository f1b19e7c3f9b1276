/** How far away each point of a picture is: lighter is nearer. */
import { z } from 'zod';
import { mediaObject, mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { picture } from '../limits.ts';
import { imageRule } from '../media.ts';

export const depthEstimation = defineTask({
  id: 'depth-estimation',
  title: 'Depth estimation',
  modalities: { in: ['image'], out: ['image'] },
  limits: picture,
  input: z.object({ image: mediaSource }),
  output: z.object({ depth: mediaObject }),
  media: { image: imageRule },
  examples: [{ model: 'sandbox/depth-estimation', input: { image: exampleImage } }],
});
