import { checkOutput } from './check-output.ts';
import { assertExpectedAnswer, findNearest, questions } from './find-nearest.ts';
import { buildBatchFile, buildSentences } from './sentences.ts';

const line = (id: string, embedding: number[] | null) =>
  JSON.stringify({
    custom_id: id,
    error: null,
    response: { status_code: 200, body: { data: embedding && [{ embedding }] } },
  });

test('accepts an output with every line once, vectors of one dimension and unit length', () => {
  const { dimensions, vectors } = checkOutput(`${line('b', [0, 1])}\n${line('a', [0.6, 0.8])}\n`, ['a', 'b']);
  expect(dimensions).toBe(2);
  expect(vectors.get('a')).toEqual([0.6, 0.8]);
});

test.each([
  ['twice', [line('a', [1, 0]), line('a', [1, 0])]],
  ['not in the output', [line('a', [1, 0])]],
  ['not in the input', [line('a', [1, 0]), line('b', [1, 0]), line('c', [1, 0])]],
  ['numbers', [line('a', [1, 0]), line('b', [1])]],
  ['length 2', [line('a', [2, 0]), line('b', [1, 0])]],
  ['length NaN', [line('a', ['x' as unknown as number]), line('b', [1])]],
  ['no embedding', [line('a', null), line('b', [1])]],
])('the error names the problem: %s', (message, lines) => {
  expect(() => checkOutput(lines.join('\n'), ['a', 'b'])).toThrow(message);
});

test('all sentences and all ids are different', () => {
  const made = buildSentences(5_000);
  expect(new Set(made.map(({ text }) => text)).size).toBe(5_000);
  expect(new Set(made.map(({ id }) => id)).size).toBe(5_000);
  expect(buildBatchFile(made, 'm').split('\n')).toHaveLength(5_001);
});

test('finds the nearest sentence and compares it with the expected answer', () => {
  const [right, wrong] = [
    { id: 'a', text: 'The smith mends the old gate at dawn.' },
    { id: 'b', text: 'A heron paints the wheel at dawn.' },
  ];
  const question = questions[0]!;
  const vectors = new Map([
    [question.id, [1, 0]],
    [right.id, [0.8, 0.6]],
    [wrong.id, [0, 1]],
  ]);
  const [first, second] = findNearest(question.id, [wrong, right], vectors, 2);
  expect(first).toMatchObject({ sentence: right, similarity: 0.8 });
  expect(() => assertExpectedAnswer(question, first!)).not.toThrow();
  expect(() => assertExpectedAnswer(question, second!)).toThrow('does not contain: mends, the old gate');
});

test('a question shares only articles and prepositions with its answer', () => {
  for (const { text, expectedPhrases } of questions) {
    const answer = new Set(expectedPhrases.join(' ').match(/[a-z]+/g));
    const common = text
      .toLowerCase()
      .match(/[a-z]+/g)!
      .filter((word) => answer.has(word));
    expect(common.filter((word) => !['a', 'the', 'at', 'by', 'in'].includes(word))).toEqual([]);
  }
});
