/** The sandbox's table: every kind there is. */
import type { InputOf, KindId, OutputOf } from '#catalogue';
import type { Handler, Run } from '../provider.ts';
import { generateImages } from './generate-images.ts';
import { embed } from './embed.ts';
import { renderVideo } from './render-video.ts';
import * as judge from './classification.ts';
import { parseOptions, runWithFaults, type SandboxOptions } from './options.ts';
import { encodeImage, renderText, parseImageSize } from './render-image.ts';
import { synthesizeSound, synthesizeSpeech } from './synthesize-audio.ts';
import { generateChat, generateText, estimateUsage } from './generate-text.ts';

type Answer<K extends KindId> = (
  input: InputOf<K>,
  run: Run,
  options: SandboxOptions,
) => Omit<OutputOf<K>, 'simulated'> | Promise<Omit<OutputOf<K>, 'simulated'>>;

const things = ['mill', 'wheel', 'river', 'bridge', 'miller'];
const moods = ['POSITIVE', 'NEUTRAL', 'NEGATIVE'];

const clip = async (prompt: string, { size, seconds = 2 }: { size?: string; seconds?: number }) => {
  const side = parseImageSize(size);
  return {
    video: await renderVideo(prompt, seconds, side),
    thumbnail: await encodeImage(renderText(prompt, side), 'webp'),
  };
};

const box = { xmin: 0, ymin: 0, xmax: 1, ymax: 1 };

const answers: { readonly [K in KindId]: Answer<K> } = {
  embeddings: (input) => embed(input),
  'chat-completion': generateChat,
  'text-generation': generateText,
  'sentence-similarity': judge.compareSentences,
  'text-to-image': (input) => generateImages(input.prompt, input),
  'image-to-image': (input) => generateImages(input.prompt ?? 'the same picture', input),
  inpainting: (input) => generateImages(input.prompt, input),
  'text-to-video': (input) => clip(input.prompt, input),
  'image-to-video': (input) => clip(input.prompt ?? 'the picture, moving', input),
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
    judge.scoreLabels(judge.describeMedia(audio), ['speech', 'music', 'water'], top_k),
  summarization: ({ text, max_length: max = 30 }) => {
    const summary = `Simulated summary: ${text.split(/\s+/).slice(0, max).join(' ')}`;
    return { summary, usage: estimateUsage(text, summary) };
  },
  translation: ({ text, target_language: to = 'en' }) => {
    const translation = `[simulated ${to}] ${text}`;
    return { translation, usage: estimateUsage(text, translation) };
  },
  'text-classification': ({ text, top_k }) => judge.scoreLabels(text, moods, top_k),
  'zero-shot-classification': ({ text, candidate_labels: names }) => judge.scoreLabels(text, names),
  'token-classification': judge.findEntities,
  'question-answering': judge.answerQuestion,
  'fill-mask': judge.fillMask,
  'table-question-answering': judge.answerTableQuestion,
  'image-classification': ({ image, top_k }) => judge.scoreLabels(judge.describeMedia(image), things, top_k),
  'zero-shot-image-classification': ({ image, candidate_labels: names }) =>
    judge.scoreLabels(judge.describeMedia(image), names),
  'object-detection': ({ image: { width = 1, height = 1 } }) => ({
    objects: [{ label: 'mill', score: 0.9, box: { ...box, xmax: width, ymax: height } }],
  }),
  'image-segmentation': async ({ image: { width, height } }) => ({
    segments: [
      {
        label: 'mill',
        score: 0.9,
        mask: await encodeImage(renderText('mill', parseImageSize(undefined, width, height))),
      },
    ],
  }),
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
  reranking: judge.rerank,
  moderation: judge.moderate,
};

/** Texts of an input, which faults may be asked to look for. */
function textsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap((item) => textsOf(item));
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [value];
  return Object.values(value).flatMap((item) => textsOf(item));
}

function handler<K extends KindId>(answer: Answer<K>): Handler<K> {
  return async ({ model, input }, run) => {
    const { metadata, ...rest } = input as { metadata?: Record<string, string> | null; inputs?: unknown[] };
    const options = parseOptions(model, metadata);
    const output = await runWithFaults(options, rest.inputs ?? textsOf(rest), run, () =>
      answer(input, run, options),
    );
    return { ...output, simulated: true } as OutputOf<K>;
  };
}

export const handlers = Object.fromEntries(
  Object.entries(answers).map(([id, answer]) => [id, handler(answer as Answer<KindId>)]),
) as unknown as { readonly [K in KindId]: Handler<K> };
