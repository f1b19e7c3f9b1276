/** Generates a video from a prompt. */
import { z } from 'zod';
import { mediaObject, optional } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { imageGenerationFields, size, text, videoSeconds } from '../fields.ts';
import { videoLimits, estimateVideoWork } from '../limits.ts';

export const textToVideo = defineSingleCallKind({
  id: 'text-to-video',
  title: 'Text to video',
  modalities: { in: ['text'], out: ['video'] },
  limits: videoLimits,
  input: z.strictObject({
    prompt: text,
    ...imageGenerationFields,
    seconds: videoSeconds,
    size,
    num_frames: optional(z.int().min(1).max(10_000)),
    fps: optional(z.int().min(1).max(120)),
  }),
  output: z.object({ video: mediaObject, thumbnail: mediaObject.optional() }),
  estimateWork: estimateVideoWork,
  examples: [
    {
      model: 'sandbox/text-to-video',
      input: { prompt: 'A water mill turning' },
      options: { seconds: 1, size: '128x128' },
    },
  ],
});
