/** Speaks a text. */
import { z } from 'zod';
import { mediaObject, optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text } from '../fields.ts';
import { imageLimits } from '../limits.ts';

export const textToSpeech = defineSingleCallKind({
  id: 'text-to-speech',
  title: 'Text to speech',
  modalities: { in: ['text'], out: ['audio'] },
  limits: imageLimits,
  input: z.strictObject({
    text,
    voice: optional(storedText()),
    speaker_id: optional(
      z.union([storedText(), z.int()], { error: 'it must be a string or a whole number' }),
    ),
    speed: optional(z.number().min(0.25).max(4)),
    instructions: optional(storedText(0, 100_000)),
    response_format: optional(z.enum(['wav', 'mp3', 'opus', 'aac', 'flac', 'pcm'])),
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
