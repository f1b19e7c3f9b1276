/** `/v1/audio/speech`, `/v1/audio/transcriptions` and `/v1/audio/translations`. */
import { InvalidInput } from '#domain';
import { dropNulls, dropUnstreamed, toMediaSource, type Fields, type OpenAiEndpoint } from './endpoint.ts';
import { formatSubtitles, type TimedText } from './subtitles.ts';

export const speech: OpenAiEndpoint = {
  path: '/v1/audio/speech',
  kinds: ['text-to-speech'],
  isDirect: false,
  accepts: ['json'],
  replies: ['bytes'],
  chooseKind: () => 'text-to-speech',
  fieldNames: { text: 'input' },
  toKindBody(body) {
    const { input, ...fields } = dropUnstreamed(dropNulls(body));
    return { ...fields, text: input };
  },
};

const wantsWordTimestamps = ({ timestamp_granularities: granularities }: Fields) =>
  Array.isArray(granularities) && granularities.includes('word');

/** Subtitles are written here from the times of the segments, so that every provider with timestamps has them. */
const formats = ['json', 'text', 'verbose_json', 'srt', 'vtt'];
const timedFormats = ['verbose_json', 'srt', 'vtt'];

function assertFormat(format: unknown): void {
  if (format === undefined || formats.includes(format as string)) return;
  throw new InvalidInput(`'response_format' is one of ${formats.join(', ')}.`, {
    code: 'unsupported',
    param: 'response_format',
  });
}

const buildTranscription = (path: string, translate: boolean): OpenAiEndpoint => ({
  path,
  kinds: ['automatic-speech-recognition'],
  isDirect: false,
  accepts: ['form'],
  replies: ['json'],
  chooseKind: () => 'automatic-speech-recognition',
  fieldNames: { audio: 'file' },
  toKindBody(body) {
    const {
      file,
      response_format: format,
      timestamp_granularities: _,
      ...fields
    } = dropUnstreamed(dropNulls(body));
    assertFormat(format);
    const isVerbose = format === 'verbose_json';
    const timestamps = isVerbose && wantsWordTimestamps(body) ? 'word' : 'segment';
    return {
      ...fields,
      audio: toMediaSource(file),
      ...(timedFormats.includes(format as string) && { timestamps }),
      ...(translate && { translate }),
    };
  },
  toResponse({ chunks, ...output }, body) {
    const { response_format: format } = body;
    const texts = (chunks ?? []) as readonly TimedText[];
    if (format === 'srt' || format === 'vtt') return { ...output, text: formatSubtitles(format, texts) };
    if (!chunks) return output;
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
