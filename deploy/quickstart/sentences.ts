/** The quickstart's input: short sentences, all different, and the batch file with one embedding request for each. */

const subjects = [
  'The miller',
  'A carter',
  'The smith',
  'A heron',
  'The river',
  'An otter',
  'The baker',
  'A swallow',
  'The weaver',
  'A fisher',
];
const verbs = ['watches', 'follows', 'mends', 'carries', 'finds', 'turns', 'forgets', 'paints'];
const objects = [
  'the wheel',
  'a sack of flour',
  'the old gate',
  'a silver coin',
  'the last boat',
  'a heavy stone',
  'the morning bread',
  'a broken oar',
];
const times = [
  'at dawn',
  'before the rain',
  'in late autumn',
  'after the fair',
  'by candlelight',
  'on market day',
  'while the mill sleeps',
  'when the ice breaks',
];

export interface Sentence {
  readonly id: string;
  readonly text: string;
}

/** @param count up to 5,120 */
export function buildSentences(count: number): Sentence[] {
  const pick = (words: readonly string[], index: number): string => words[index % words.length] ?? '';
  return Array.from({ length: count }, (_, at) => {
    const [a, b, c, d] = [at, Math.floor(at / 10), Math.floor(at / 80), Math.floor(at / 640)];
    const text = `${pick(subjects, a)} ${pick(verbs, b)} ${pick(objects, c)} ${pick(times, d)}.`;
    return { id: `sentence-${String(at + 1).padStart(4, '0')}`, text };
  });
}

export function buildBatchFile(input: readonly Sentence[], model: string): string {
  return input
    .map(({ id, text }) =>
      JSON.stringify({
        custom_id: id,
        method: 'POST',
        url: '/v1/embeddings',
        body: { model, input: text },
      }),
    )
    .join('\n')
    .concat('\n');
}
