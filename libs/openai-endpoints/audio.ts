/** `/v1/audio/speech`, `/v1/audio/transcriptions` and `/v1/audio/translations`. */
import { dropNulls, toMediaSource, type Fields, type OpenAiEndpoint } from './endpoint.ts';

export const speech: OpenAiEndpoint = {
  path: '/v1/audio/speech',
  kinds: ['text-to-speech'],
  isDirect: false,
  accepts: ['json'],
  replies: ['bytes'],
  chooseKind: () => 'text-to-speech',
  toKindBody(body) {
    const { input, ...fields } = dropNulls(body);
    return { ...fields, text: input };
  },
};

interface TimedText {
  readonly text: string;
  readonly start: number;
  readonly end: number | null;
}

const wantsWordTimestamps = ({ timestamp_granularities: granularities }: Fields) =>
  Array.isArray(granularities) && granularities.includes('word');

const buildTranscription = (path: string, translate: boolean): OpenAiEndpoint => ({
  path,
  kinds: ['automatic-speech-recognition'],
  isDirect: false,
  accepts: ['form'],
  replies: ['json'],
  chooseKind: () => 'automatic-speech-recognition',
  toKindBody(body) {
    const { file, response_format: format, ...fields } = dropNulls(body);
    const timestamps = wantsWordTimestamps(body) ? 'word' : 'segment';
    return {
      ...fields,
      audio: toMediaSource(file),
      ...(format === 'verbose_json' && { timestamps }),
      ...(translate && { translate }),
    };
  },
  toResponse({ chunks, ...output }, body) {
    if (!chunks) return output;
    const texts = chunks as readonly TimedText[];
    const segments = texts.map((segment, id) => ({ id, ...segment }));
    const words = texts.map(({ text: word, start, end }) => ({ word, start, end }));
    return {
      ...{ task: translate ? 'translate' : 'transcribe', ...output },
      ...(wantsWordTimestamps(body) ? { words } : { segments }),
    };
  },
});

export const transcriptions = buildTranscription('/v1/audio/transcriptions', false);
export const translations = buildTranscription('/v1/audio/translations', true);
