/** The input lines of the benchmarks, generated from the line number, so that the checker can generate a line again. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';

/** Words of five letters: sixteen of them make a line of about 230 bytes. */
const words = (
  'mills grind wheat water turns stone flour river gates flows under wheel every night morning sacks ' +
  'carts bring grain again later quiet black green paths cross field after storm'
)
  .split(' ')
  .filter((word) => word.length === 5);
const wordsInText = 16;

/** @param line 1-based */
export function buildLineText(line: number): string {
  let state = Math.imul(line, 0x9e3779b1);
  let text = `${line}:`;
  for (let at = 0; at < wordsInText; at++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + at;
    text += ` ${words[(state >>> 8) % words.length]}`;
  }
  return text;
}

export const buildCustomId = (line: number): string => `row-${String(line).padStart(9, '0')}`;

/**
 * The lines request vectors of this length. Without a requested length the planner has to guess it and makes chunks small
 * enough for a thousand numbers.
 */
const defaultDimensions = 8;

/** @param dimensions length of the vector; null for the model's own. */
export function buildLine(
  line: number,
  dimensions: number | null = defaultDimensions,
  model = 'sandbox/embeddings',
): string {
  const requested = dimensions === null ? '' : `,"dimensions":${dimensions}`;
  return (
    `{"custom_id":"${buildCustomId(line)}","method":"POST","url":"/v1/embeddings",` +
    `"body":{"model":"${model}","input":"${buildLineText(line)}"${requested}}}\n`
  );
}

/** Writes an input file. @returns its size in bytes. */
export async function writeLines(
  path: string,
  lines: number,
  dimensions?: number | null,
  model?: string,
): Promise<number> {
  const file = createWriteStream(path);
  let text = '';
  for (let line = 1; line <= lines; line++) {
    text += buildLine(line, dimensions, model);
    if (text.length < 1 << 18 && line < lines) continue;
    if (!file.write(text)) await once(file, 'drain');
    text = '';
  }
  file.end();
  await once(file, 'close');
  return file.bytesWritten;
}
