/** Which of the labels given a picture shows. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { classes, texts } from '../fields.ts';
import { light } from '../limits.ts';
import { seenImage } from '../media.ts';

export const zeroShotImageClassification = defineTask({
  id: 'zero-shot-image-classification',
  title: 'Zero-shot image classification',
  modalities: { in: ['image', 'text'], out: ['labels'] },
  limits: light,
  input: z.object({
    image: mediaSource,
    candidate_labels: texts,
    hypothesis_template: z.string().optional(),
  }),
  output: classes,
  media: { image: seenImage },
  examples: [
    {
      model: 'sandbox/zero-shot-image-classification',
      input: { image: exampleImage, candidate_labels: ['mill', 'bridge'] },
    },
  ],
});
