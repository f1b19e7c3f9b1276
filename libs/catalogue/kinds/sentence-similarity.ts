/** Scores how similar each sentence is to a source sentence, from -1 to 1. */
import { z } from 'zod';
import { defineSingleCallKind } from '../define-single-call-kind.ts';
import { text, texts } from '../fields.ts';
import { classificationLimits } from '../limits.ts';

export const sentenceSimilarity = defineSingleCallKind({
  id: 'sentence-similarity',
  title: 'Sentence similarity',
  modalities: { in: ['text'], out: ['labels'] },
  limits: classificationLimits,
  input: z.strictObject({ source_sentence: text, sentences: texts }),
  output: z.object({ similarities: z.array(z.number()) }),
  examples: [
    {
      model: 'sandbox/sentence-similarity',
      input: { source_sentence: 'The mill turns.', sentences: ['A wheel goes round.', 'It rains.'] },
    },
  ],
});
