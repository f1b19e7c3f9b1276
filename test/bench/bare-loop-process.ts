/**
 * The baseline of the batch benchmark, in its own process: one thread that reads the same lines, parses them and writes the
 * same records to a file, without queue, database, checks or durability.
 *
 * Arguments: input file, output file, batch id. Prints wall and CPU seconds as JSON.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { kinds } from '#catalogue';
import { embed } from '../../libs/providers/sandbox/embed.ts';

const [input = '', output = '', batchId = ''] = process.argv.slice(2);
const suffix = batchId.slice(batchId.indexOf('_') + 1);
const LF = 10;

interface InputLine {
  readonly custom_id: string;
  readonly body: { readonly model: string; readonly input: string };
}

function buildRecord(number: number, { custom_id, body }: InputLine): string {
  const answered = embed({ inputs: [body.input] });
  const { json } = kinds.embeddings.buildAnswer(answered, { ...body, encoding_format: 'float' });
  return (
    `{"id":"batch_req_${suffix}_${number}","custom_id":${JSON.stringify(custom_id)},"response":{"status_code":200,` +
    `"request_id":"req_${suffix}_${number}","body":${json}},"error":null}\n`
  );
}

const from = openSync(input, 'r');
const to = openSync(output, 'w');
const buffer = Buffer.allocUnsafe(1 << 20);
const began = performance.now();
let text = '';
let lines = 0;
for (let held = 0; ;) {
  const read = readSync(from, buffer, held, buffer.length - held, null);
  if (read === 0) break;
  const filled = buffer.subarray(0, held + read);
  let start = 0;
  for (let end = filled.indexOf(LF); end !== -1; end = filled.indexOf(LF, start)) {
    text += buildRecord(++lines, JSON.parse(filled.toString('utf8', start, end)) as InputLine);
    start = end + 1;
    if (text.length < 1 << 18) continue;
    writeSync(to, text);
    text = '';
  }
  held = filled.copy(buffer, 0, start);
}
writeSync(to, text);
closeSync(to);
closeSync(from);
const { user, system } = process.cpuUsage();
console.log(
  JSON.stringify({ lines, seconds: (performance.now() - began) / 1e3, cpuSeconds: (user + system) / 1e6 }),
);
