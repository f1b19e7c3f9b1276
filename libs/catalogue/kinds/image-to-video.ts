/** Generates a video that starts with an image. */
import { z } from 'zod';
import { mediaObject, mediaSource, optional } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleImage } from '../example-media.ts';
import { imageGenerationFields, size, text, videoSeconds } from '../fields.ts';
import { videoLimits, estimateVideoWork } from '../limits.ts';
import { imageRule } from '../media.ts';

export const imageToVideo = defineSingleCallKind({
  id: 'image-to-video',
  title: 'Image to video',
  modalities: { in: ['image', 'text'], out: ['video'] },
  limits: videoLimits,
  input: z.strictObject({
    image: mediaSource,
    prompt: optional(text),
    ...imageGenerationFields,
    seconds: videoSeconds,
    size,
    num_frames: optional(z.int().min(1).max(10_000)),
    fps: optional(z.int().min(1).max(120)),
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
