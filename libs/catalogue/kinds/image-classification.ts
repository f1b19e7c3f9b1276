/** What a picture shows. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { classes, topK } from '../fields.ts';
import { light } from '../limits.ts';
import { seenImage } from '../media.ts';

export const imageClassification = defineTask({
  id: 'image-classification',
  title: 'Image classification',
  modalities: { in: ['image'], out: ['labels'] },
  limits: light,
  input: z.object({ image: mediaSource, top_k: topK }),
  output: classes,
  media: { image: seenImage },
  examples: [{ model: 'sandbox/image-classification', input: { image: exampleImage } }],
});
