/** Pictures and sound: to labels, regions, texts and answers; and texts to sound. */
import type { KindId } from '#catalogue';
import { toMedia } from '../response-media.ts';
import type { Handler } from '../provider.ts';
import type { Connection } from './connection.ts';
import { toBlob, blobToMedia, type InferenceEndpoints } from './images.ts';
import { parseTarget } from './target.ts';

type Make<K extends KindId> = (deps: Connection, endpoints: InferenceEndpoints) => Handler<K>;

/** Models send all that they know; few take a number of their own. */
const best = <T>(found: readonly T[], topK: number | undefined): T[] => found.slice(0, topK ?? found.length);

export const imageClassification: Make<'image-classification'> =
  (deps, endpoints) =>
  async ({ model, input: { image, top_k } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.imageClassification({ ...to, inputs: toBlob(image) }, options),
    );
    return { labels: best(found, top_k) };
  };

export const zeroShotImageClassification: Make<'zero-shot-image-classification'> =
  (deps, endpoints) =>
  async ({ model, input: { image, metadata: _, ...parameters } }, { signal }) => ({
    labels: await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.zeroShotImageClassification({ ...to, inputs: toBlob(image), parameters }, options),
    ),
  });

export const objectDetection: Make<'object-detection'> =
  (deps, endpoints) =>
  async ({ model, input: { image, threshold = 0 } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.objectDetection({ ...to, inputs: toBlob(image) }, options),
    );
    return { objects: found.filter(({ score }) => score >= threshold) };
  };

export const imageSegmentation: Make<'image-segmentation'> =
  (deps, endpoints) =>
  async ({ model, input: { image, metadata: _, ...parameters } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.imageSegmentation({ ...to, inputs: toBlob(image), parameters }, options),
    );
    return {
      segments: found.map(({ label, score, mask }) => ({
        label,
        ...(score !== undefined && { score }),
        mask: toMedia(Buffer.from(mask, 'base64'), 'image/png'),
      })),
    };
  };

export const imageToText: Make<'image-to-text'> =
  (deps, endpoints) =>
  async ({ model, input: { image } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.imageToText({ ...to, data: toBlob(image) }, options),
    );
    return { text: (found as { generated_text?: string }).generated_text ?? '' };
  };

export const visualQuestionAnswering: Make<'visual-question-answering'> =
  (deps, endpoints) =>
  async ({ model, input: { image, question } }, { signal }) => {
    const { answer = '', score } = await deps.call(
      parseTarget(model, endpoints),
      signal,
      (client, { to, options }) =>
        client.visualQuestionAnswering({ ...to, inputs: { image: toBlob(image), question } }, options),
    );
    return { answers: [{ answer, score }] };
  };

export const documentQuestionAnswering: Make<'document-question-answering'> =
  (deps, endpoints) =>
  async ({ model, input: { image, question } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.documentQuestionAnswering({ ...to, inputs: { image: toBlob(image), question } }, options),
    );
    const { answer, score, start, end } = found;
    return { answers: [{ answer, score, start, end }] };
  };

export const audioClassification: Make<'audio-classification'> =
  (deps, endpoints) =>
  async ({ model, input: { audio, top_k } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.audioClassification({ ...to, inputs: toBlob(audio) }, options),
    );
    return { labels: best(found, top_k) };
  };

export const automaticSpeechRecognition: Make<'automatic-speech-recognition'> =
  (deps, endpoints) =>
  async ({ model, input: { audio } }, { signal }) => {
    const { text, chunks } = await deps.call(
      parseTarget(model, endpoints),
      signal,
      (client, { to, options }) =>
        client.automaticSpeechRecognition({ ...to, inputs: toBlob(audio) }, options),
    );
    const times = chunks?.map(({ text: said, timestamp: [start = 0, end = null] }) => ({
      text: said,
      start,
      end,
    }));
    return { text, ...(times && { chunks: times }) };
  };

export const textToSpeech: Make<'text-to-speech'> =
  (deps, endpoints) =>
  async ({ model, input: { text } }, { signal }) => {
    const blob = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.textToSpeech({ ...to, inputs: text }, options),
    );
    return { audio: await blobToMedia(blob, 'audio/wav') };
  };

export const textToAudio: Make<'text-to-audio'> =
  (deps, endpoints) =>
  async ({ model, input: { prompt, seconds, metadata: _, ...more } }, { signal }) => {
    const parameters = { ...more, ...(seconds && { seconds_total: seconds }) };
    const found: unknown = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.textToAudio({ ...to, inputs: prompt, parameters }, options),
    );
    return { audio: await blobToMedia(found as Blob, 'audio/wav') };
  };
