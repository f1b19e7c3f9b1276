/** How near in meaning each sentence is to one, from -1 to 1. */
import { z } from 'zod';
import { defineTask } from '../define-task.ts';
import { text, texts } from '../fields.ts';
import { light } from '../limits.ts';

export const sentenceSimilarity = defineTask({
  id: 'sentence-similarity',
  title: 'Sentence similarity',
  modalities: { in: ['text'], out: ['labels'] },
  limits: light,
  input: z.object({ source_sentence: text, sentences: texts }),
  output: z.object({ similarities: z.array(z.number()) }),
  examples: [
    {
      model: 'sandbox/sentence-similarity',
      input: { source_sentence: 'The mill turns.', sentences: ['A wheel goes round.', 'It rains.'] },
    },
  ],
});
