/** Shows that the vectors carry meaning: for a question in other words, the nearest sentence is its answer. */
import type { Sentence } from './sentences.ts';

export interface Question extends Sentence {
  /** Phrases of the answer. The question contains none of their words except articles and prepositions. */
  readonly expectedPhrases: readonly string[];
}

export const questions: readonly Question[] = [
  {
    id: 'question-1',
    text: 'Who repairs a fence at sunrise?',
    expectedPhrases: ['mends', 'the old gate', 'at dawn'],
  },
  {
    id: 'question-2',
    text: 'Which bird discovers cash in October?',
    expectedPhrases: ['finds', 'a silver coin', 'in late autumn'],
  },
  {
    id: 'question-3',
    text: 'Does anybody chase a ship by the light of a lamp?',
    expectedPhrases: ['follows', 'the last boat', 'by candlelight'],
  },
];

export interface NearestSentence {
  readonly sentence: Sentence;
  /** Cosine similarity, -1 to 1. */
  readonly similarity: number;
}

/**
 * @param vectors by id, of unit length
 * @returns the `count` nearest sentences, nearest first
 */
export function findNearest(
  id: string,
  among: readonly Sentence[],
  vectors: ReadonlyMap<string, readonly number[]>,
  count: number,
): NearestSentence[] {
  const own = vectors.get(id)!;
  return among
    .map((sentence) => {
      const other = vectors.get(sentence.id)!;
      return { sentence, similarity: own.reduce((sum, value, at) => sum + value * other[at]!, 0) };
    })
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, count);
}

/** @throws Error when the sentence is not the answer to the question. */
export function assertExpectedAnswer(
  { text, expectedPhrases }: Question,
  { sentence }: NearestSentence,
): void {
  const missing = expectedPhrases.filter((words) => !sentence.text.includes(words));
  if (missing.length > 0)
    throw new Error(
      `“${sentence.text}” is nearest to “${text}” but does not contain: ${missing.join(', ')}.`,
    );
}
