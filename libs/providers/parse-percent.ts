/** Reads the percentage from the last line of a log. */

/**
 * `25 %`, `25%|███`, `Progress: 25.5 %`. A step of a number (`12/50`) is not read: what is counted is not known.
 * @returns undefined if the line has none.
 */
export function parsePercent(line: string | undefined): number | undefined {
  const matches = [...(line ?? '').matchAll(/(?<![\d.])(\d{1,3}(?:\.\d+)?)\s*%/g)];
  const percent = Number(matches.at(-1)?.[1] ?? NaN);
  return percent >= 0 && percent <= 100 ? percent : undefined;
}
