/**
 * The baseline of the local model benchmark, in its own process: transformers.js as in its documentation, with texts in the
 * given order, in calls of a fixed size, pooled and normalised. Reads commands from stdin and answers on stdout, one JSON
 * object per line.
 *
 * Arguments: model folder, model. Commands: `{"texts","size","sample"}` → `{"seconds","cpuSeconds","vectors"}`
 */
import { createInterface } from 'node:readline';
import { env, pipeline } from '@huggingface/transformers';

export interface BareModelCommand {
  readonly texts: readonly string[];
  readonly size: number;
  /** Indexes of the texts whose vectors are returned. */
  readonly sample: readonly number[];
}

export interface BareModelRun {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly vectors: readonly number[][];
}

const [folder = '', model = ''] = process.argv.slice(2);
env.localModelPath = folder;
env.allowRemoteModels = false;
const embed = await pipeline('feature-extraction', model, {
  dtype: 'fp32',
  session_options: { intraOpNumThreads: 1 },
});

async function run({ texts, size, sample }: BareModelCommand): Promise<BareModelRun> {
  const vectors = new Map<number, number[]>();
  const wanted = new Set(sample);
  const began = performance.now();
  const cpuBegan = process.cpuUsage();
  for (let at = 0; at < texts.length; at += size) {
    const batch = texts.slice(at, at + size);
    const answer = await embed(batch, { pooling: 'mean', normalize: true });
    const rows = answer.tolist() as number[][];
    rows.forEach((row, offset) => {
      if (wanted.has(at + offset)) vectors.set(at + offset, row);
    });
  }
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpuBegan);
  return { seconds, cpuSeconds: (user + system) / 1e6, vectors: sample.map((at) => vectors.get(at)!) };
}

process.stdout.write('"ready"\n');
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line) as BareModelCommand))}\n`);
}
