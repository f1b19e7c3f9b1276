/** Transcribes or translates speech, with timestamps on request. */
import { z } from 'zod';
import { mediaSource, optional, storedText } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleAudio } from '../example-media.ts';
import { textGenerationLimits } from '../limits.ts';
import { audioRule } from '../media.ts';

export const automaticSpeechRecognition = defineSingleCallKind({
  id: 'automatic-speech-recognition',
  title: 'Speech recognition',
  modalities: { in: ['audio'], out: ['text'] },
  limits: textGenerationLimits,
  input: z.strictObject({
    audio: mediaSource,
    language: optional(storedText(2, 35)),
    prompt: optional(storedText(0, 100_000)),
    temperature: optional(z.number().min(0).max(1)),
    timestamps: optional(z.enum(['none', 'segment', 'word'])),
    translate: optional(z.boolean()),
  }),
  output: z.object({
    text: z.string(),
    language: z.string().optional(),
    duration: z.number().optional(),
    chunks: z.array(z.object({ text: z.string(), start: z.number(), end: z.number().nullable() })).optional(),
  }),
  media: { audio: audioRule },
  examples: [
    {
      model: 'sandbox/automatic-speech-recognition',
      input: { audio: exampleAudio },
      options: { language: 'en', timestamps: 'segment' },
    },
  ],
});
