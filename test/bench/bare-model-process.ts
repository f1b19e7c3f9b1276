/**
 * transformers.js with nothing around it, as its documentation calls it: texts in their order, some at a time, each
 * time pooled and normalised. A process of its own that is told what to run on stdin, a JSON line each, and answers so.
 *
 * Arguments: folder of models, model. Commands: `{"texts","size","sample"}` → `{"seconds","cpuSeconds","vectors"}`
 */
import { createInterface } from 'node:readline';
import { env, pipeline } from '@huggingface/transformers';

export interface BareModelCommand {
  readonly texts: readonly string[];
  readonly size: number;
  /** Numbers of the texts whose vectors are wanted. */
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
