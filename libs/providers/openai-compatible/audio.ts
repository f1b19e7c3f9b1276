/** `/v1/audio/speech`, `/v1/audio/transcriptions` and `/v1/audio/translations`. */
import type OpenAI from 'openai';
import type { APIPromise } from 'openai';
import { readMedia } from '../response-media.ts';
import type { Handler } from '../run.ts';
import { parseUsage, type UpstreamUsage } from '../usage.ts';
import { readCostHeader, type Connection } from './connection.ts';
import { toUploadFile } from './upload-file.ts';

export const textToSpeech =
  (connection: Connection): Handler<'text-to-speech'> =>
  async ({ model, credential, input }, { signal }) => {
    const { text, voice, speaker_id: speaker, metadata: _, ...more } = input;
    const voiceName = voice ?? (speaker === undefined ? 'alloy' : String(speaker));
    const body = { ...more, model, input: text, voice: voiceName } as OpenAI.Audio.SpeechCreateParams;
    return connection.call(credential, signal, async (client) => {
      const response = await client.audio.speech.create(body, { signal });
      const usage = parseUsage({ cost: readCostHeader(response) });
      return { audio: await readMedia(response, 'audio/mpeg'), usage };
    });
  };

interface Transcript {
  readonly text: string;
  readonly language?: string;
  readonly duration?: number | string;
  readonly usage?: UpstreamUsage;
  readonly segments?: readonly { readonly text: string; readonly start: number; readonly end: number }[];
  readonly words?: readonly { readonly word: string; readonly start: number; readonly end: number }[];
}

export const automaticSpeechRecognition =
  (connection: Connection): Handler<'automatic-speech-recognition'> =>
  async ({ model, credential, input }, { signal }) => {
    const { audio, timestamps = 'none', translate, language, prompt, temperature } = input;
    const hasTimestamps = timestamps !== 'none';
    const body = {
      ...{ model, prompt, temperature, file: await toUploadFile(audio) },
      ...(!translate && { language }),
      response_format: hasTimestamps ? 'verbose_json' : 'json',
      ...(hasTimestamps && !translate && { timestamp_granularities: [timestamps] }),
    };
    const answer = await connection.callForJson(
      credential,
      signal,
      ({ audio: { translations, transcriptions } }) =>
        translate
          ? (translations.create(body as OpenAI.Audio.TranslationCreateParams, {
              signal,
            }) as APIPromise<Transcript>)
          : (transcriptions.create(body as OpenAI.Audio.TranscriptionCreateParamsNonStreaming, {
              signal,
            }) as APIPromise<Transcript>),
    );
    const duration = answer.duration === undefined ? undefined : Number(answer.duration);
    const usage = parseUsage({ ...answer.usage, seconds: answer.usage?.seconds ?? duration });
    return {
      text: answer.text,
      ...(answer.language && { language: answer.language }),
      ...(duration !== undefined && { duration }),
      ...(hasTimestamps && { chunks: toTimedChunks(answer, timestamps) }),
      ...(usage && { usage }),
    };
  };

const toTimedChunks = ({ words, segments }: Transcript, unit: 'segment' | 'word') =>
  unit === 'word' && words
    ? words.map(({ word: text, start, end }) => ({ text, start, end }))
    : (segments ?? []).map(({ text, start, end }) => ({ text, start, end }));
