/** A picture put into words. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { light } from '../limits.ts';
import { seenImage } from '../media.ts';

export const imageToText = defineTask({
  id: 'image-to-text',
  title: 'Image to text',
  modalities: { in: ['image'], out: ['text'] },
  limits: light,
  input: z.object({
    image: mediaSource,
    prompt: z.string().optional(),
    max_tokens: z.int().positive().optional(),
  }),
  output: z.object({ text: z.string() }),
  media: { image: seenImage },
  examples: [{ model: 'sandbox/image-to-text', input: { image: exampleImage } }],
});
