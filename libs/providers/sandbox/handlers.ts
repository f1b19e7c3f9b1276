/** The sandbox's handlers: one for every kind. */
import type { InputOf, KindId, OutputOf } from '#catalogue';
import type { Handler, Run } from '../run.ts';
import * as classification from './classification.ts';
import { embed } from './embed.ts';
import { generateImages } from './generate-images.ts';
import { estimateUsage, generateChat, generateText } from './generate-text.ts';
import { parseOptions, type SandboxOptions } from './options.ts';
import { encodeImage, parseImageSize, renderText } from './render-image.ts';
import { renderVideo } from './render-video.ts';
import { runWithFaults } from './run-with-faults.ts';
import { synthesizeSound, synthesizeSpeech } from './synthesize-audio.ts';

type Answer<K extends KindId> = (
  input: InputOf<K>,
  run: Run,
  options: SandboxOptions,
) => Omit<OutputOf<K>, 'simulated'> | Promise<Omit<OutputOf<K>, 'simulated'>>;

const imageLabels = ['mill', 'wheel', 'river', 'bridge', 'miller'];
const audioLabels = ['speech', 'music', 'water'];
const textLabels = ['POSITIVE', 'NEUTRAL', 'NEGATIVE'];

async function generateVideo(prompt: string, { size, seconds = 2 }: { size?: string; seconds?: number }) {
  const dimensions = parseImageSize(size);
  return {
    video: await renderVideo(prompt, seconds, dimensions),
    thumbnail: await encodeImage(renderText(prompt, dimensions), 'webp'),
  };
}

const answers: { readonly [K in KindId]: Answer<K> } = {
  embeddings: (input) => embed(input),
  'chat-completion': generateChat,
  'text-generation': generateText,
  'sentence-similarity': classification.compareSentences,
  'text-to-image': (input) => generateImages(input.prompt, input),
  'image-to-image': (input) => generateImages(input.prompt ?? 'the same image', input),
  inpainting: (input) => generateImages(input.prompt, input),
  'text-to-video': (input) => generateVideo(input.prompt, input),
  'image-to-video': (input) => generateVideo(input.prompt ?? 'the image, moving', input),
  'text-to-speech': ({ text, voice, speaker_id: speaker, speed }) => ({
    audio: synthesizeSpeech(text, `${speaker ?? voice ?? ''}`, speed),
    usage: estimateUsage(text, ''),
  }),
  'text-to-audio': ({ prompt, seconds = 2 }) => ({ audio: synthesizeSound(prompt, seconds) }),
  'automatic-speech-recognition': ({ audio, language = 'en', timestamps }) => {
    const text = `This transcript of ${audio.bytes.byteLength} bytes is simulated.`;
    const chunks = timestamps && timestamps !== 'none' ? [{ text, start: 0, end: 1 }] : undefined;
    return { text, language, chunks };
  },
  'audio-classification': ({ audio, top_k }) =>
    classification.scoreLabels(classification.describeMedia(audio), audioLabels, top_k),
  summarization: ({ text, max_length: maxWords = 30 }) => {
    const summary = `Simulated summary: ${text.split(/\s+/).slice(0, maxWords).join(' ')}`;
    return { summary, usage: estimateUsage(text, summary) };
  },
  translation: ({ text, target_language: language = 'en' }) => {
    const translation = `[simulated ${language}] ${text}`;
    return { translation, usage: estimateUsage(text, translation) };
  },
  'text-classification': ({ text, top_k }) => classification.scoreLabels(text, textLabels, top_k),
  'zero-shot-classification': ({ text, candidate_labels: labels }) =>
    classification.scoreLabels(text, labels),
  'token-classification': classification.findEntities,
  'question-answering': classification.answerQuestion,
  'fill-mask': classification.fillMask,
  'table-question-answering': classification.answerTableQuestion,
  'image-classification': ({ image, top_k }) =>
    classification.scoreLabels(classification.describeMedia(image), imageLabels, top_k),
  'zero-shot-image-classification': ({ image, candidate_labels: labels }) =>
    classification.scoreLabels(classification.describeMedia(image), labels),
  'object-detection': ({ image: { width = 1, height = 1 } }) => ({
    objects: [{ label: 'mill', score: 0.9, box: { xmin: 0, ymin: 0, xmax: width, ymax: height } }],
  }),
  'image-segmentation': async ({ image: { width, height } }) => {
    const mask = await encodeImage(renderText('mill', parseImageSize(undefined, width, height)));
    return { segments: [{ label: 'mill', score: 0.9, mask }] };
  },
  'image-to-text': ({ image }) => ({ text: `A simulated caption of ${image.bytes.byteLength} bytes.` }),
  'visual-question-answering': ({ question }) => ({
    answers: [{ answer: `Simulated: ${question}`, score: 0.9 }],
  }),
  'document-question-answering': ({ question }) => ({
    answers: [{ answer: `Simulated: ${question}`, score: 0.9 }],
  }),
  'depth-estimation': async ({ image: { width, height } }) => ({
    depth: await encodeImage(renderText('depth', parseImageSize(undefined, width, height))),
  }),
  reranking: classification.rerank,
  moderation: classification.moderate,
};

/** @returns all values of an input, among which the `reject` option looks for its text. */
function flattenValues(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((item) => flattenValues(item));
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [value];
  return Object.values(value).flatMap((item) => flattenValues(item));
}

function buildHandler<K extends KindId>(answer: Answer<K>): Handler<K> {
  return async ({ model, input }, run) => {
    const { metadata, ...rest } = input as { metadata?: Record<string, string> | null; inputs?: unknown[] };
    const options = parseOptions(model, metadata);
    const output = await runWithFaults(options, rest.inputs ?? flattenValues(rest), run, () =>
      answer(input, run, options),
    );
    return { ...output, simulated: true } as OutputOf<K>;
  };
}

export const handlers = Object.fromEntries(
  Object.entries(answers).map(([id, answer]) => [id, buildHandler(answer as Answer<KindId>)]),
) as unknown as { readonly [K in KindId]: Handler<K> };
