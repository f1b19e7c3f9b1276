import { findEndpoint } from './endpoints.ts';
import { formatSubtitles } from './subtitles.ts';

const texts = [
  { text: ' The mill', start: 0, end: 1.5 },
  { text: 'turns.\n\nSlowly.', start: 3_661.25, end: null },
];

test('srt and vtt', () => {
  expect(formatSubtitles('srt', texts)).toBe(
    '1\n00:00:00,000 --> 00:00:01,500\nThe mill\n\n2\n01:01:01,250 --> 01:01:01,250\nturns.\nSlowly.\n',
  );
  expect(formatSubtitles('vtt', texts.slice(0, 1))).toBe(
    'WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nThe mill\n',
  );
});

test('a transcription in srt or vtt asks for timestamps; another format is refused', () => {
  const endpoint = findEndpoint('/v1/audio/transcriptions')!;
  const body = { file: 'x', response_format: 'srt' };
  expect(endpoint.toKindBody!(body)).toEqual({ audio: 'x', timestamps: 'segment' });
  const output = { text: 'The mill', language: 'en', chunks: texts };
  expect(endpoint.toResponse!(output, body)).toEqual({
    language: 'en',
    text: formatSubtitles('srt', texts),
  });
  expect(endpoint.toKindBody!({ file: 'x', response_format: 'json' })).toEqual({ audio: 'x' });
  expect(() => endpoint.toKindBody!({ response_format: 'diarized_json' })).toThrow(
    expect.objectContaining({ code: 'unsupported', param: 'response_format' }),
  );
});
