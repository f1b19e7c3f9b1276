/** Labels, scores and places: computed from what was asked, and meaning nothing. */
import type { InputOf, Media, OutputOf } from '#catalogue';
import { createSeededRandom, computeScore } from './seeded-random.ts';

/** Scores that sum to 1, best first. */
export function scoreLabels(about: string, names: readonly string[], topK = names.length) {
  const chance = createSeededRandom(about);
  const weights = names.map(() => chance() + 0.01);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const scored = names.map((label, at) => ({ label, score: Math.round((weights[at]! / sum) * 1e6) / 1e6 }));
  return { labels: scored.sort((a, b) => b.score - a.score).slice(0, topK) };
}

/** Equal bytes are judged equally. */
export const describeMedia = ({ bytes, type }: Media): string =>
  `${type} ${bytes.byteLength} ${Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 256)).toString('latin1')}`;

export function compareSentences({ source_sentence: source, sentences }: InputOf<'sentence-similarity'>) {
  return {
    similarities: sentences.map((sentence) =>
      sentence === source ? 1 : computeScore(`${source}\0${sentence}`),
    ),
  };
}

/** Words that begin with a capital. */
export function findEntities({ text }: InputOf<'token-classification'>): OutputOf<'token-classification'> {
  const found = [...text.matchAll(/\p{Lu}\p{L}+/gu)];
  return {
    entities: found.map(({ 0: word, index: start }) => {
      const label = ['PER', 'LOC', 'ORG'][Math.floor(createSeededRandom(word)() * 3)]!;
      return { label, score: computeScore(word), word, start, end: start + word.length };
    }),
  };
}

/** The first words of the context. */
export function answerQuestion({
  question,
  context,
}: InputOf<'question-answering'>): OutputOf<'question-answering'> {
  const [answer = context] = /\S+(\s+\S+){0,3}/.exec(context) ?? [];
  const start = context.indexOf(answer);
  return { answers: [{ answer, score: computeScore(question), start, end: start + answer.length }] };
}

export function fillMask({ text, top_k: topK = 5, targets }: InputOf<'fill-mask'>): OutputOf<'fill-mask'> {
  const words = targets ?? ['turns', 'stands', 'grinds', 'rests', 'runs'];
  return {
    fills: scoreLabels(text, words, topK).labels.map(({ label: token, score }) => {
      return { token, score, sequence: text.replace(/\[MASK\]|<mask>/, token) };
    }),
  };
}

export function answerTableQuestion({
  question,
  table,
}: InputOf<'table-question-answering'>): OutputOf<'table-question-answering'> {
  const columns = Object.values(table);
  const rows = columns[0]?.length ?? 0;
  const chance = createSeededRandom(question);
  const [row, column] = [Math.floor(chance() * rows), Math.floor(chance() * columns.length)];
  const answer = columns[column]?.[row] ?? '';
  return {
    answer,
    cells: rows > 0 ? [answer] : [],
    coordinates: rows > 0 ? [[row, column]] : [],
    aggregator: 'NONE',
  };
}

export function rerank({ query, documents, top_n: topN, return_documents: shown }: InputOf<'reranking'>) {
  const scored = documents.map((document, index) => ({
    index,
    relevance_score: computeScore(`${query}\0${document}`),
    ...(shown && { document }),
  }));
  return { results: scored.sort((a, b) => b.relevance_score - a.relevance_score).slice(0, topN) };
}

const categories = ['harassment', 'hate', 'self-harm', 'sexual', 'violence'];

/** Flags what says `[unsafe]`. */
export function moderate({ input }: InputOf<'moderation'>): OutputOf<'moderation'> {
  const items = typeof input === 'string' ? [input] : input.map((item) => itemText(item));
  return {
    results: items.map((text) => {
      const flagged = text.includes('[unsafe]');
      const scores = categories.map((name): [string, number] => [name, flagged ? 0.99 : 0.01]);
      return {
        flagged,
        categories: Object.fromEntries(categories.map((name): [string, boolean] => [name, flagged])),
        category_scores: Object.fromEntries(scores),
      };
    }),
  };
}

function itemText(item: Exclude<InputOf<'moderation'>['input'], string>[number]): string {
  if (typeof item === 'string') return item;
  return item.type === 'text' ? item.text : '';
}
