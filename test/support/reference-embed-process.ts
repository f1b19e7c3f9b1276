/**
 * Runs transformers.js in a process of its own, because Jest's sandbox has another Float32Array than the native runtime.
 * Arguments: the folder that contains the model, and its name. Reads texts as JSON from stdin, writes vectors to stdout.
 */
import { text } from 'node:stream/consumers';
import { env, pipeline } from '@huggingface/transformers';

const [folder = '', model = ''] = process.argv.slice(2);
env.localModelPath = folder;
env.allowRemoteModels = false;
const texts = JSON.parse(await text(process.stdin)) as string[];
const embed = await pipeline('feature-extraction', model, { dtype: 'fp32' });
const vectors = await embed(texts, { pooling: 'mean', normalize: true });
process.stdout.write(JSON.stringify(vectors.tolist()));
