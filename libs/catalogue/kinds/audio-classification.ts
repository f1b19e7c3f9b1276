/** Assigns classes to a recording. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleAudio } from '../example-media.ts';
import { classificationOutput, topK } from '../fields.ts';
import { classificationLimits } from '../limits.ts';
import { audioRule } from '../media.ts';

export const audioClassification = defineSingleCallKind({
  id: 'audio-classification',
  title: 'Audio classification',
  modalities: { in: ['audio'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({ audio: mediaSource, top_k: topK }),
  output: classificationOutput,
  media: { audio: audioRule },
  examples: [
    { model: 'sandbox/audio-classification', input: { audio: exampleAudio }, options: { top_k: 3 } },
  ],
});
