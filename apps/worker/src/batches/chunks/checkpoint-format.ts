/** The format of a checkpoint object: two lines per finished line, first the numbers for the sums, then the record. */
import type { FinishedLine } from './line-records.ts';

/** Unknown amounts are written as `-`. */
export function formatFinishedLine({ line, ok, record, ...usage }: FinishedLine): string {
  const { inputTokens, outputTokens, images = '-', seconds = '-', cost = '-' } = usage;
  return `${line} ${ok ? 1 : 0} ${inputTokens} ${outputTokens} ${images} ${seconds} ${cost}\n${record}`;
}

export function* parseFinishedLines(bytes: Buffer): Generator<FinishedLine> {
  for (let at = 0; at < bytes.length;) {
    const head = bytes.indexOf(10, at);
    const end = bytes.indexOf(10, head + 1) + 1;
    const numbers = bytes.toString('latin1', at, head).split(' ').map(Number);
    const [line, ok, inputTokens, outputTokens, images = NaN, seconds = NaN, cost = NaN] = numbers;
    yield {
      line: line!,
      ok: ok === 1,
      inputTokens: inputTokens!,
      outputTokens: outputTokens!,
      ...(images >= 0 && { images }),
      ...(seconds >= 0 && { seconds }),
      ...(cost >= 0 && { cost }),
      record: bytes.toString('utf8', head + 1, end),
    };
    at = end;
  }
}
