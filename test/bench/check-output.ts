/**
 * Reads the whole output of a batch through the API, checks that every line has exactly one record, and recomputes a sample
 * of the records from their line number.
 */
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { embed } from '../../libs/providers/sandbox/embed.ts';
import type { Deployment } from './deployment.ts';
import { buildCustomId, buildLineText } from './batch-lines.ts';

/** One record in 97 is recomputed. */
const sampleEvery = 97;

interface OutputRecord {
  readonly custom_id: string;
  readonly error: null;
  readonly response: {
    readonly status_code: number;
    readonly body: { readonly data: readonly { readonly embedding: readonly number[] }[] };
  };
}

/** @returns how many records were recomputed. @throws Error that shows the first wrong record */
export async function checkOutput(
  { url, apiKey }: Pick<Deployment, 'url' | 'apiKey'>,
  fileId: string,
  lines: number,
  dimensions?: number,
): Promise<number> {
  const answer = await fetch(`${url}/v1/files/${fileId}/content`, {
    headers: { authorization: `Bearer ${apiKey}` },
  });
  if (!answer.ok || !answer.body) throw new Error(`the output can't be read: ${answer.status}`);
  const seen = new Uint8Array(lines + 1);
  let records = 0;
  let sampled = 0;
  const input = Readable.fromWeb(answer.body as ReadableStream<Uint8Array>);
  for await (const text of createInterface({ input, crlfDelay: Infinity })) {
    const line = Number(/"custom_id":"row-(\d+)"/.exec(text)?.[1]);
    if (!(line >= 1 && line <= lines) || seen[line])
      throw new Error(`unexpected or repeated record: ${text}`);
    seen[line] = 1;
    records++;
    if (line % sampleEvery !== 0) continue;
    sampled++;
    assertAnswers(JSON.parse(text) as OutputRecord, line, dimensions);
  }
  if (records !== lines) throw new Error(`${records} records for ${lines} lines`);
  return sampled;
}

function assertAnswers(record: OutputRecord, line: number, dimensions?: number): void {
  const { custom_id, error, response } = record;
  const [expected] = embed({ inputs: [buildLineText(line)], dimensions }).vectors;
  const [found] = response.body.data;
  const numbers = found?.embedding ?? [];
  const isRight =
    error === null &&
    custom_id === buildCustomId(line) &&
    response.status_code === 200 &&
    response.body.data.length === 1 &&
    numbers.length === expected!.length &&
    numbers.every((number, at) => Object.is(Math.fround(number), expected![at]));
  if (!isRight) throw new Error(`the record of line ${line} is wrong: ${JSON.stringify(response)}`);
}
