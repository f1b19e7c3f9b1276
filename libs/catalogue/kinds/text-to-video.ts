/** A film of what a text says. */
import { z } from 'zod';
import { mediaObject } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { drawing, size, text } from '../fields.ts';
import { film, filmWork } from '../limits.ts';

export const textToVideo = defineTask({
  id: 'text-to-video',
  title: 'Text to video',
  modalities: { in: ['text'], out: ['video'] },
  limits: film,
  input: z.object({
    prompt: text,
    ...drawing,
    seconds: z.coerce.number().positive().max(3_600).optional(),
    size,
    num_frames: z.int().min(1).max(10_000).optional(),
    fps: z.int().min(1).max(120).optional(),
  }),
  output: z.object({ video: mediaObject, thumbnail: mediaObject.optional() }),
  work: filmWork,
  examples: [
    {
      model: 'sandbox/text-to-video',
      input: { prompt: 'A water mill turning' },
      options: { seconds: 1, size: '128x128' },
    },
  ],
});
