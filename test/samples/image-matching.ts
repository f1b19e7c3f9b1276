/** The sample of docs/guides/add-a-kind.md. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineSingleCallKind } from '../../libs/catalogue/define-single-call-kind.ts';
import { exampleImage } from '../../libs/catalogue/example-media.ts';
import { classificationLimits } from '../../libs/catalogue/limits.ts';
import { downscaledImageRule } from '../../libs/catalogue/media.ts';

/** Score of how likely two images show the same thing. */
export const imageMatching = defineSingleCallKind({
  id: 'image-matching',
  title: 'Image matching',
  modalities: { in: ['image'], out: ['labels'] },
  limits: classificationLimits, // libs/catalogue/limits.ts: time, chunk size, bytes of an answer
  input: z.object({ first: mediaSource, second: mediaSource }),
  output: z.object({ score: z.number() }),
  media: { first: downscaledImageRule, second: downscaledImageRule },
  examples: [{ model: 'sandbox/image-matching', input: { first: exampleImage, second: exampleImage } }],
});
