/** The things in a picture, and where they are, in pixels of the picture as sent. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { box } from '../fields.ts';
import { light } from '../limits.ts';
import { imageRule } from '../media.ts';

export const objectDetection = defineTask({
  id: 'object-detection',
  title: 'Object detection',
  modalities: { in: ['image'], out: ['regions'] },
  limits: light,
  input: z.object({ image: mediaSource, threshold: z.number().min(0).max(1).optional() }),
  output: z.object({ objects: z.array(z.object({ label: z.string(), score: z.number(), box })) }),
  media: { image: imageRule },
  examples: [
    { model: 'sandbox/object-detection', input: { image: exampleImage }, options: { threshold: 0.5 } },
  ],
});
