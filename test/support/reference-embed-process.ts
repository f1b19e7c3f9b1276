/**
 * transformers.js with nothing of ours around it, a process of its own: jest's sandbox has another Float32Array than
 * the runtime's native part. Arguments: folder that holds the model, its name. Texts as JSON on stdin, vectors on stdout.
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
