/** What a recording is of. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineTask } from '../define-task.ts';
import { exampleSound } from '../example-media.ts';
import { classes, topK } from '../fields.ts';
import { light } from '../limits.ts';
import { audioRule } from '../media.ts';

export const audioClassification = defineTask({
  id: 'audio-classification',
  title: 'Audio classification',
  modalities: { in: ['audio'], out: ['labels'] },
  limits: light,
  input: z.object({ audio: mediaSource, top_k: topK }),
  output: classes,
  media: { audio: audioRule },
  examples: [
    { model: 'sandbox/audio-classification', input: { audio: exampleSound }, options: { top_k: 3 } },
  ],
});
