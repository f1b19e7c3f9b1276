/** The parts of a picture, each as a mask: white where it is. */
import { z } from 'zod';
import { mediaObject, mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { picture } from '../limits.ts';
import { imageRule } from '../media.ts';

export const imageSegmentation = defineTask({
  id: 'image-segmentation',
  title: 'Image segmentation',
  modalities: { in: ['image'], out: ['regions', 'image'] },
  limits: picture,
  input: z.object({
    image: mediaSource,
    subtask: z.enum(['instance', 'panoptic', 'semantic']).optional(),
    threshold: z.number().min(0).max(1).optional(),
  }),
  output: z.object({
    segments: z.array(z.object({ label: z.string(), score: z.number().optional(), mask: mediaObject })),
  }),
  media: { image: imageRule },
  examples: [{ model: 'sandbox/image-segmentation', input: { image: exampleImage } }],
});
