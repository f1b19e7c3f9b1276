/** Tasks on images and audio: classification, detection, captions, questions, transcription, speech. */
import type { KindId } from '#catalogue';
import { toMedia } from '../response-media.ts';
import type { Handler } from '../run.ts';
import type { Connection } from './connection.ts';
import { blobToMedia, toBlob } from './blobs.ts';

type BuildHandler<K extends KindId> = (connection: Connection) => Handler<K>;

/** Most models return all labels and accept no `top_k`. Labels come best first. */
const takeTop = <T>(labels: readonly T[], topK: number | undefined): T[] =>
  labels.slice(0, topK ?? labels.length);

export const imageClassification: BuildHandler<'image-classification'> =
  (connection) =>
  async ({ input: { image, top_k }, ...access }, { signal }) => {
    const labels = await connection.call(access, signal, (client, { to, options }) =>
      client.imageClassification({ ...to, inputs: toBlob(image) }, options),
    );
    return { labels: takeTop(labels, top_k) };
  };

export const zeroShotImageClassification: BuildHandler<'zero-shot-image-classification'> =
  (connection) =>
  async ({ input: { image, metadata: _, ...parameters }, ...access }, { signal }) => ({
    labels: await connection.call(access, signal, (client, { to, options }) =>
      client.zeroShotImageClassification({ ...to, inputs: toBlob(image), parameters }, options),
    ),
  });

export const objectDetection: BuildHandler<'object-detection'> =
  (connection) =>
  async ({ input: { image, threshold = 0 }, ...access }, { signal }) => {
    const objects = await connection.call(access, signal, (client, { to, options }) =>
      client.objectDetection({ ...to, inputs: toBlob(image) }, options),
    );
    return { objects: objects.filter(({ score }) => score >= threshold) };
  };

export const imageSegmentation: BuildHandler<'image-segmentation'> =
  (connection) =>
  async ({ input: { image, metadata: _, ...parameters }, ...access }, { signal }) => {
    const found = await connection.call(access, signal, (client, { to, options }) =>
      client.imageSegmentation({ ...to, inputs: toBlob(image), parameters }, options),
    );
    const segments = found.map(async ({ label, score, mask }) => ({
      label,
      ...(score !== undefined && { score }),
      mask: await toMedia(Buffer.from(mask, 'base64'), 'image/png'),
    }));
    return { segments: await Promise.all(segments) };
  };

export const imageToText: BuildHandler<'image-to-text'> =
  (connection) =>
  async ({ input: { image }, ...access }, { signal }) => {
    const output = await connection.call(access, signal, (client, { to, options }) =>
      client.imageToText({ ...to, data: toBlob(image) }, options),
    );
    return { text: (output as { generated_text?: string }).generated_text ?? '' };
  };

export const visualQuestionAnswering: BuildHandler<'visual-question-answering'> =
  (connection) =>
  async ({ input: { image, question }, ...access }, { signal }) => {
    const { answer = '', score } = await connection.call(access, signal, (client, { to, options }) =>
      client.visualQuestionAnswering({ ...to, inputs: { image: toBlob(image), question } }, options),
    );
    return { answers: [{ answer, score }] };
  };

export const documentQuestionAnswering: BuildHandler<'document-question-answering'> =
  (connection) =>
  async ({ input: { image, question }, ...access }, { signal }) => {
    const output = await connection.call(access, signal, (client, { to, options }) =>
      client.documentQuestionAnswering({ ...to, inputs: { image: toBlob(image), question } }, options),
    );
    const { answer, score, start, end } = output;
    return { answers: [{ answer, score, start, end }] };
  };

export const audioClassification: BuildHandler<'audio-classification'> =
  (connection) =>
  async ({ input: { audio, top_k }, ...access }, { signal }) => {
    const labels = await connection.call(access, signal, (client, { to, options }) =>
      client.audioClassification({ ...to, inputs: toBlob(audio) }, options),
    );
    return { labels: takeTop(labels, top_k) };
  };

export const automaticSpeechRecognition: BuildHandler<'automatic-speech-recognition'> =
  (connection) =>
  async ({ input: { audio }, ...access }, { signal }) => {
    const { text, chunks } = await connection.call(access, signal, (client, { to, options }) =>
      client.automaticSpeechRecognition({ ...to, inputs: toBlob(audio) }, options),
    );
    const timedChunks = chunks?.map(({ text: chunkText, timestamp: [start = 0, end = null] }) => ({
      text: chunkText,
      start,
      end,
    }));
    return { text, ...(timedChunks && { chunks: timedChunks }) };
  };

export const textToSpeech: BuildHandler<'text-to-speech'> =
  (connection) =>
  async ({ input: { text }, ...access }, { signal }) => {
    const blob = await connection.call(access, signal, (client, { to, options }) =>
      client.textToSpeech({ ...to, inputs: text }, options),
    );
    return { audio: await blobToMedia(blob, 'audio/wav') };
  };

export const textToAudio: BuildHandler<'text-to-audio'> =
  (connection) =>
  async ({ input: { prompt, seconds, metadata: _, ...more }, ...access }, { signal }) => {
    const parameters = { ...more, ...(seconds && { seconds_total: seconds }) };
    const blob: unknown = await connection.call(access, signal, (client, { to, options }) =>
      client.textToAudio({ ...to, inputs: prompt, parameters }, options),
    );
    return { audio: await blobToMedia(blob as Blob, 'audio/wav') };
  };
