/** Why a file is not JSONL, from its first line: one error for the whole file, in place of one for each line. */

/** @param firstLine the first line that is not blank. @returns null if the line itself is the problem. */
export function explainNotJsonLines(firstLine: string): string | null {
  const line = firstLine.trim();
  if (line.startsWith('[')) {
    return "The input file is one JSON array. Write one object on each line: jq -c '.[]' FILE.json > FILE.jsonl";
  }
  const isCut = line.startsWith('{') && /[{[,:]$/.test(line);
  if (!isCut) return null;
  return "The input file is pretty-printed JSON. Write each object on one line: jq -c '.' FILE.json > FILE.jsonl";
}
