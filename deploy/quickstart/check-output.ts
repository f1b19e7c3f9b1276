/** Checks the output file of the quickstart's batch: one result per line, each a vector of unit length. */

export interface CheckedOutput {
  readonly vectors: ReadonlyMap<string, readonly number[]>;
  readonly dimensions: number;
}

interface OutputLine {
  custom_id: string;
  error: { message: string } | null;
  response: { status_code: number; body: { data?: { embedding: number[] }[] } } | null;
}

/** @throws Error that names the first line that is missing, duplicated or invalid. */
export function checkOutput(text: string, ids: readonly string[]): CheckedOutput {
  const vectors = new Map<string, readonly number[]>();
  let dimensions = 0;
  for (const line of text.split('\n').filter(Boolean)) {
    const { custom_id: id, response } = JSON.parse(line) as OutputLine;
    if (vectors.has(id)) throw new Error(`${id} is in the output twice.`);
    const vector = response?.body.data?.[0]?.embedding;
    if (response?.status_code !== 200 || !vector) throw new Error(`${id} has no embedding.`);
    dimensions ||= vector.length;
    if (vector.length !== dimensions)
      throw new Error(`${id} has ${vector.length} numbers, others ${dimensions}.`);
    const norm = Math.hypot(...vector);
    if (!(Math.abs(norm - 1) < 1e-3)) throw new Error(`${id}'s vector has length ${norm}, not 1.`);
    vectors.set(id, vector);
  }
  const missing = ids.filter((id) => !vectors.has(id));
  if (missing.length > 0)
    throw new Error(`${missing.length} lines are not in the output, e.g. ${missing[0]}.`);
  if (vectors.size > ids.length)
    throw new Error(`The output has ${vectors.size - ids.length} lines that were not in the input.`);
  return { vectors, dimensions };
}
