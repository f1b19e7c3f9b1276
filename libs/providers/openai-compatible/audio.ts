/** `/v1/audio/speech`, `/v1/audio/transcriptions` and `/v1/audio/translations`. */
import type OpenAI from 'openai';
import { toObjects, type Fields } from '../completion-choices.ts';
import { assertNoError, invalidOutput } from '../failures.ts';
import { parseJson } from '../parse-json.ts';
import { readMedia } from '../response-media.ts';
import type { Handler } from '../run.ts';
import { parseUsage } from '../usage.ts';
import { readCostHeader, type Answer, type Connection } from './connection.ts';
import { toUploadFile } from './upload-file.ts';

export const textToSpeech =
  (connection: Connection): Handler<'text-to-speech'> =>
  async ({ model, credential, input }, { signal }) => {
    const { text, voice, speaker_id: speaker, metadata: _, ...more } = input;
    const voiceName = voice ?? (speaker === undefined ? 'alloy' : String(speaker));
    const body = { ...more, model, input: text, voice: voiceName } as OpenAI.Audio.SpeechCreateParams;
    return connection.call({ model, credential }, signal, async (client) => {
      const response = await client.audio.speech.create(body, { signal });
      const usage = parseUsage({ cost: readCostHeader(response) });
      const audio = await readMedia(response, 'audio/mpeg');
      assertAudio(audio);
      return { audio, ...(usage?.cost !== undefined && { usage }) };
    });
  };

/** Some gateways report an error as JSON with a status of success. */
function assertAudio({ bytes, type }: { bytes: Uint8Array; type: string }): void {
  if (bytes.byteLength === 0) throw invalidOutput('it has no audio');
  if (!/json|text/.test(type)) return;
  const text = Buffer.from(bytes).toString();
  if (/json/.test(type)) assertNoError(parseJson(text));
  throw invalidOutput('it is not audio', undefined, text);
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
      { model, credential },
      signal,
      ({ audio: { translations, transcriptions } }) =>
        translate
          ? translations.create(body as OpenAI.Audio.TranslationCreateParams, { signal })
          : transcriptions.create(body as OpenAI.Audio.TranscriptionCreateParamsNonStreaming, { signal }),
    );
    return toTranscript(answer, timestamps);
  };

/** Fields that are read or mapped; all others of the answer are kept. */
const mappedFields = ['text', 'task', 'language', 'duration', 'segments', 'words', 'usage', 'list', 'chunks'];

function toTranscript(answer: Answer, timestamps: 'none' | 'segment' | 'word') {
  const { text, language } = answer;
  if (typeof text !== 'string') throw invalidOutput('it has no text', undefined, answer);
  const reported = Number(answer['duration'] ?? NaN);
  const duration = Number.isFinite(reported) ? reported : undefined;
  const usage = parseUsage({ ...answer.usage, seconds: answer.usage?.seconds ?? duration });
  const isCounted = answer.usage != null || duration !== undefined;
  const others = Object.entries(answer).filter(
    ([name, value]) => value !== null && !mappedFields.includes(name),
  );
  return {
    ...Object.fromEntries(others),
    text,
    ...(typeof language === 'string' && { language }),
    ...(duration !== undefined && { duration }),
    ...(timestamps !== 'none' && { chunks: toTimedChunks(answer, timestamps) }),
    ...(isCounted && usage && { usage }),
  };
}

function toTimedChunks({ words, segments }: Answer, unit: 'segment' | 'word') {
  const timed = unit === 'word' && Array.isArray(words) ? toObjects(words) : toObjects(segments);
  return timed.map((chunk) => ({
    text: readText(chunk),
    start: readSeconds(chunk['start']) ?? 0,
    end: readSeconds(chunk['end']) ?? null,
  }));
}

const readText = ({ word, text }: Fields): string =>
  [word, text].find((value): value is string => typeof value === 'string') ?? '';
const readSeconds = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;
