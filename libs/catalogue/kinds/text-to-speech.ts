/** Speaks a text. */
import { z } from 'zod';
import { mediaObject } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { imageLimits } from '../limits.ts';

export const textToSpeech = defineSingleCallKind({
  id: 'text-to-speech',
  title: 'Text to speech',
  modalities: { in: ['text'], out: ['audio'] },
  limits: imageLimits,
  input: z.object({
    text,
    voice: z.string().optional(),
    speaker_id: z.union([z.string(), z.int()]).optional(),
    speed: z.number().min(0.25).max(4).optional(),
    instructions: z.string().optional(),
    response_format: z.enum(['wav', 'mp3', 'opus', 'aac', 'flac', 'pcm']).optional(),
  }),
  output: z.object({ audio: mediaObject }),
  examples: [
    {
      model: 'sandbox/text-to-speech',
      input: { text: 'The mill turns.' },
      options: { speaker_id: 'miller' },
    },
  ],
});
