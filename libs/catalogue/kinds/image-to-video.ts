/** Generates a video that starts with an image. */
import { z } from 'zod';
import { mediaObject, mediaSource } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { imageGenerationFields, size, text } from '../fields.ts';
import { videoLimits, estimateVideoWork } from '../limits.ts';
import { imageRule } from '../media.ts';

export const imageToVideo = defineSingleCallKind({
  id: 'image-to-video',
  title: 'Image to video',
  modalities: { in: ['image', 'text'], out: ['video'] },
  limits: videoLimits,
  input: z.object({
    image: mediaSource,
    prompt: text.optional(),
    ...imageGenerationFields,
    seconds: z.coerce.number().positive().max(3_600).optional(),
    size,
    num_frames: z.int().min(1).max(10_000).optional(),
    fps: z.int().min(1).max(120).optional(),
  }),
  output: z.object({ video: mediaObject, thumbnail: mediaObject.optional() }),
  media: { image: imageRule },
  estimateWork: estimateVideoWork,
  examples: [
    {
      model: 'sandbox/image-to-video',
      input: { image: exampleImage },
      options: { prompt: 'The wheel begins to turn', seconds: 1, size: '128x128' },
    },
  ],
});
