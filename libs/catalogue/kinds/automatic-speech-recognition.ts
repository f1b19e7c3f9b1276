/** Transcribes or translates speech, with timestamps on request. */
import { z } from 'zod';
import { mediaSource } from '@millrace/contracts';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { exampleAudio } from '../example-media.ts';
import { textGenerationLimits } from '../limits.ts';
import { audioRule } from '../media.ts';

export const automaticSpeechRecognition = defineSingleCallKind({
  id: 'automatic-speech-recognition',
  title: 'Speech recognition',
  modalities: { in: ['audio'], out: ['text'] },
  limits: textGenerationLimits,
  input: z.object({
    audio: mediaSource,
    language: z.string().min(2).max(35).optional(),
    prompt: z.string().optional(),
    temperature: z.number().min(0).max(1).optional(),
    timestamps: z.enum(['none', 'segment', 'word']).optional(),
    translate: z.boolean().optional(),
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
