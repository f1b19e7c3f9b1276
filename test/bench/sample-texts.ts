/** Texts with realistic lengths: 10 to 250 words, most of them short. Each is generated from its number. */
import { createRandom } from '../../tools/demo-model/random.ts';

const words = (
  'the mill turns and water falls over an old wheel while none in the village watches it any more but a heron who ' +
  'stands in the shallow river every morning before the first baker opens his door to sell warm bread to farmers that ' +
  'bring their wheat from distant fields after harvest when roads are dry and evenings grow cold'
).split(' ');

/** Words of a text: mostly short texts with a few long ones, 70 words on average. */
const shortest = 10;
const spread = 240;

/** @param line 1-based */
export function buildSampleText(line: number): string {
  const next = createRandom(line);
  const between = () => (next() + 1) / 2;
  const count = shortest + Math.floor(between() ** 3 * spread);
  return Array.from({ length: count }, () => words[Math.floor(between() * words.length)]).join(' ');
}
