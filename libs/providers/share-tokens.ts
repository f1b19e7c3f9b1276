/**
 * Tokens of each input, where a server counts those of a whole call: each input bears its share by length.
 * @param total null or undefined where it counts none: then four characters are a token.
 */
export function shareTokens(
  total: number | null | undefined,
  inputs: readonly (string | readonly number[])[],
): number[] {
  const lengths = inputs.map((input) =>
    typeof input === 'string' ? Math.ceil(input.length / 4) : input.length,
  );
  if (typeof total !== 'number') return lengths;
  const sum = lengths.reduce((all, length) => all + length, 0) || 1;
  let [seen, given] = [0, 0];
  return lengths.map((length) => {
    seen += length;
    const upTo = Math.round((total * seen) / sum);
    const own = upTo - given;
    given = upTo;
    return own;
  });
}
