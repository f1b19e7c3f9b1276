/** Labels, scores, entities and answers that depend on the input only and have no meaning. */
import type { InputOf, Media, OutputOf } from '#catalogue';
import { computeScore, createSeededRandom } from './seeded-random.ts';

/** @param seed equal seeds have equal scores. @returns labels whose scores add up to 1, best first. */
export function scoreLabels(seed: string, labels: readonly string[], topK = labels.length) {
  const random = createSeededRandom(seed);
  const weights = labels.map(() => random() + 0.01);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const scored = labels.map((label, at) => ({ label, score: Math.round((weights[at]! / sum) * 1e6) / 1e6 }));
  return { labels: scored.sort((a, b) => b.score - a.score).slice(0, topK) };
}

/** @returns a seed for `scoreLabels` from the type, the size and the first 256 bytes. */
export const describeMedia = ({ bytes, type }: Media): string =>
  `${type} ${bytes.byteLength} ${Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 256)).toString('latin1')}`;

export function compareSentences({ source_sentence: source, sentences }: InputOf<'sentence-similarity'>) {
  return {
    similarities: sentences.map((sentence) =>
      sentence === source ? 1 : computeScore(`${source}\0${sentence}`),
    ),
  };
}

/** Every word that begins with a capital letter is an entity. */
export function findEntities({ text }: InputOf<'token-classification'>): OutputOf<'token-classification'> {
  const matches = [...text.matchAll(/\p{Lu}\p{L}+/gu)];
  return {
    entities: matches.map(({ 0: word, index: start }) => {
      const label = ['PER', 'LOC', 'ORG'][Math.floor(createSeededRandom(word)() * 3)]!;
      return { label, score: computeScore(word), word, start, end: start + word.length };
    }),
  };
}

/** The answer is the first words of the context. */
export function answerQuestion({
  question,
  context,
}: InputOf<'question-answering'>): OutputOf<'question-answering'> {
  const [answer = context] = /\S+(\s+\S+){0,3}/.exec(context) ?? [];
  const start = context.indexOf(answer);
  return { answers: [{ answer, score: computeScore(question), start, end: start + answer.length }] };
}

const maskWords = ['turns', 'stands', 'grinds', 'rests', 'runs'];

export function fillMask({ text, top_k: topK = 5, targets }: InputOf<'fill-mask'>): OutputOf<'fill-mask'> {
  const { labels } = scoreLabels(text, targets ?? maskWords, topK);
  return {
    fills: labels.map(({ label: token, score }) => {
      return { token, score, sequence: text.replace(/\[MASK\]|<mask>/, token) };
    }),
  };
}

export function answerTableQuestion({
  question,
  table,
}: InputOf<'table-question-answering'>): OutputOf<'table-question-answering'> {
  const columns = Object.values(table);
  const rowCount = columns[0]?.length ?? 0;
  const random = createSeededRandom(question);
  const [row, column] = [Math.floor(random() * rowCount), Math.floor(random() * columns.length)];
  const answer = columns[column]?.[row] ?? '';
  return {
    answer,
    cells: rowCount > 0 ? [answer] : [],
    coordinates: rowCount > 0 ? [[row, column]] : [],
    aggregator: 'NONE',
  };
}

export function rerank({
  query,
  documents,
  top_n: topN,
  return_documents: returnDocuments,
}: InputOf<'reranking'>) {
  const scored = documents.map((document, index) => ({
    index,
    relevance_score: computeScore(`${query}\0${document}`),
    ...(returnDocuments && { document }),
  }));
  return { results: scored.sort((a, b) => b.relevance_score - a.relevance_score).slice(0, topN) };
}

const categories = ['harassment', 'hate', 'self-harm', 'sexual', 'violence'];

/** Flags inputs that contain `[unsafe]`. */
export function moderate({ input }: InputOf<'moderation'>): OutputOf<'moderation'> {
  const texts = typeof input === 'string' ? [input] : input.map((item) => toText(item));
  return {
    results: texts.map((text) => {
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

function toText(item: Exclude<InputOf<'moderation'>['input'], string>[number]): string {
  if (typeof item === 'string') return item;
  return item.type === 'text' ? item.text : '';
}
