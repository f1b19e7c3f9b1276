/**
 * Divides the token count of a whole call among its inputs, in proportion to their lengths. The shares add up to the total.
 * @param total null or undefined if the server reports none: then four characters count as a token.
 */
export function shareTokens(
  total: number | null | undefined,
  inputs: readonly (string | readonly number[])[],
): number[] {
  const lengths = inputs.map((input) =>
    typeof input === 'string' ? Math.ceil(input.length / 4) : input.length,
  );
  if (typeof total !== 'number') return lengths;
  const totalLength = lengths.reduce((sum, length) => sum + length, 0) || 1;
  let lengthSoFar = 0;
  let assigned = 0;
  return lengths.map((length) => {
    lengthSoFar += length;
    const cumulative = Math.round((total * lengthSoFar) / totalLength);
    const share = cumulative - assigned;
    assigned = cumulative;
    return share;
  });
}
