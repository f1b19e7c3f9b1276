/** `/v1/audio/speech`, `/v1/audio/transcriptions` and `/v1/audio/translations`. */
import type OpenAI from 'openai';
import type { APIPromise } from 'openai';
import type { Handler } from '../provider.ts';
import { parseUsage } from '../collect-stream.ts';
import { readMedia } from '../response-media.ts';
import { readCostHeader, type Connection } from './connection.ts';
import type { UpstreamUsage } from '../stream-collectors.ts';
import { toUploadFile } from './images.ts';

export const textToSpeech =
  (deps: Connection): Handler<'text-to-speech'> =>
  async ({ model, input }, { signal }) => {
    const { text, voice, speaker_id: speaker, metadata: _, ...more } = input;
    const named = voice ?? (speaker === undefined ? 'alloy' : String(speaker));
    const body = { ...more, model, input: text, voice: named } as OpenAI.Audio.SpeechCreateParams;
    return deps.call(signal, async (client) => {
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
  (deps: Connection): Handler<'automatic-speech-recognition'> =>
  async ({ model, input }, { signal }) => {
    const { audio, timestamps = 'none', translate, language, prompt, temperature } = input;
    const hasTimes = timestamps !== 'none';
    const body = {
      ...{ model, prompt, temperature, file: await toUploadFile(audio) },
      ...(!translate && { language }),
      response_format: hasTimes ? 'verbose_json' : 'json',
      ...(hasTimes && !translate && { timestamp_granularities: [timestamps] }),
    };
    const answer = await deps.callForJson(signal, ({ audio: { translations, transcriptions } }) =>
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
      ...(hasTimes && { chunks: chunksOf(answer, timestamps) }),
      ...(usage && { usage }),
    };
  };

const chunksOf = ({ words, segments }: Transcript, by: 'segment' | 'word') =>
  by === 'word' && words
    ? words.map(({ word: text, start, end }) => ({ text, start, end }))
    : (segments ?? []).map(({ text, start, end }) => ({ text, start, end }));
