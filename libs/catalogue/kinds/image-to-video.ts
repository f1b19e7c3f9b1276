/** A film that begins with a picture. */
import { z } from 'zod';
import { mediaObject, mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleImage } from '../example-media.ts';
import { drawing, size, text } from '../fields.ts';
import { film, filmWork } from '../limits.ts';
import { imageRule } from '../media.ts';

export const imageToVideo = defineTask({
  id: 'image-to-video',
  title: 'Image to video',
  modalities: { in: ['image', 'text'], out: ['video'] },
  limits: film,
  input: z.object({
    image: mediaSource,
    prompt: text.optional(),
    ...drawing,
    seconds: z.coerce.number().positive().max(3_600).optional(),
    size,
    num_frames: z.int().min(1).max(10_000).optional(),
    fps: z.int().min(1).max(120).optional(),
  }),
  output: z.object({ video: mediaObject, thumbnail: mediaObject.optional() }),
  media: { image: imageRule },
  work: filmWork,
  examples: [
    {
      model: 'sandbox/image-to-video',
      input: { image: exampleImage },
      options: { prompt: 'The wheel begins to turn', seconds: 1, size: '128x128' },
    },
  ],
});
