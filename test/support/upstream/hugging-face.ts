/**
 * Hugging Face: the Hub's mapping of models to inference providers
 * (https://huggingface.co/docs/inference-providers/hub-api) and the tasks of HF Inference behind the router
 * (https://huggingface.co/docs/inference-providers/tasks/index).
 */
import { png, buildReply, buildVector, wav } from './model-outputs.ts';
import { getField, errorReply, type Reply, type Route, type UpstreamCall } from './call.ts';

/** A model's name is `owner/<task>`. The owners `fal` and `replicate` select that provider; `unserved` has none. */
export const huggingFace: Route = (call) => {
  const [, owner, task] = /^\/api\/models\/([^/]+)\/([^/]+)$/.exec(call.path) ?? [];
  if (owner !== undefined && task !== undefined) return mapping(owner, task);
  const [, model = '', pipeline] =
    /^\/hf-inference\/models\/[^/]+\/([^/]+)(?:\/pipeline\/(.+))?$/.exec(call.path) ?? [];
  return pipelines[pipeline ?? model]?.(call);
};

const servedBy: Record<string, string> = { fal: 'fal-ai', replicate: 'replicate' };

function mapping(owner: string, task: string): Reply {
  if (owner === 'gated') return errorReply(403, 'gated');
  const provider = servedBy[owner] ?? 'hf-inference';
  // A model that misbehaves is named for how it does so.
  const served = owner === 'misbehaving' ? 'summarization' : task;
  const entry = { provider, providerId: `${provider}/${task}`, status: 'live', task: served };
  const inferenceProviderMapping =
    owner === 'unserved'
      ? {}
      : {
          [provider]: {
            ...entry,
            providerId: provider === 'hf-inference' ? `${owner}/${task}` : entry.providerId,
          },
        };
  return { json: { id: `${owner}/${task}`, inferenceProviderMapping } };
}

const labels = [
  { label: 'mill', score: 0.9 },
  { label: 'river', score: 0.1 },
];
const box = { xmin: 1, ymin: 2, xmax: 30, ymax: 40 };
const bytes = (type: string, data: Uint8Array): Reply => ({ headers: { 'content-type': type }, bytes: data });
const given = (call: UpstreamCall) => getField(call, 'inputs') as string & Record<string, unknown>;
const found = { answer: 'the mill', score: 0.8, start: 4, end: 12 };

const pipelines: Record<string, ((call: UpstreamCall) => Reply) | undefined> = {
  'feature-extraction'(call) {
    const inputs = [given(call)].flat() as string[];
    return { items: inputs.length, json: inputs.map((input) => buildVector(input)) };
  },
  'sentence-similarity': (call) => ({
    json: (given(call)['sentences'] as string[]).map((_, at) => 1 / (at + 1)),
  }),
  'text-classification': () => ({ json: [labels] }),
  'zero-shot-classification': (call) => {
    const names = (getField(call, 'parameters') as { candidate_labels: string[] }).candidate_labels;
    return { json: names.map((label, at) => ({ label, score: 1 / (at + 2) })) };
  },
  'token-classification': () => ({
    json: [{ entity_group: 'LOC', score: 0.99, word: 'mill', start: 4, end: 8 }],
  }),
  'question-answering': () => ({ json: [found] }),
  'fill-mask': () => ({ json: [{ score: 0.7, token: 42, token_str: 'turns', sequence: 'the mill turns' }] }),
  'table-question-answering': () => ({
    json: { answer: '300', cells: ['300'], coordinates: [[0, 1]], aggregator: 'NONE' },
  }),
  summarization: (call) => ({ json: [{ summary_text: given(call).slice(0, 20) }] }),
  translation: (call) => ({ json: [{ translation_text: buildReply(given(call)) }] }),
  'image-classification': () => ({ json: labels }),
  'zero-shot-image-classification': () => ({ json: labels }),
  'object-detection': () => ({ json: [{ label: 'mill', score: 0.9, box }] }),
  'image-segmentation': () => ({ json: [{ label: 'mill', score: 0.9, mask: png.toString('base64') }] }),
  'image-to-text': () => ({ json: { generated_text: 'a mill' } }),
  'visual-question-answering': () => ({ json: [{ answer: 'a mill', score: 0.9 }] }),
  'document-question-answering': () => ({ json: [found] }),
  'image-to-image': () => bytes('image/png', png),
  'text-to-image': () => bytes('image/png', png),
  'text-to-speech': () => bytes('audio/wav', wav),
  'text-to-audio': () => bytes('audio/wav', wav),
  'automatic-speech-recognition': () => ({
    json: { text: 'the mill turns', chunks: [{ text: 'the mill', timestamp: [0, 1] }] },
  }),
  'audio-classification': () => ({ json: labels }),
};
