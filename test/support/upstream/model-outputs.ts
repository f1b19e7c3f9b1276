/** Outputs of the scripted upstream's models, computed from the request, so that a test can compute them again. */

/** Used if the request names no dimensions. */
const defaultDimensions = 8;

/** The first number is the text's length, so that a test notices vectors in the wrong order. */
export function buildVector(input: string | readonly number[], dimensions = defaultDimensions): number[] {
  const text = typeof input === 'string' ? input : input.join(' ');
  let state = 7;
  for (let at = 0; at < text.length; at++) state = (Math.imul(state, 31) + text.charCodeAt(at)) | 0;
  const numbers = Array.from({ length: dimensions }, (_, at) => ((state >>> (at % 24)) & 0xff) / 256);
  numbers[0] = text.length;
  return numbers.map(Math.fround);
}

/** Four characters count as a token. */
export const countTokens = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

/** The answer of a chat model repeats the last message. */
export const buildReply = (text: string): string => `You said: ${text}`;

/** Words with the space before them, as models stream them. */
export const splitWords = (text: string): string[] => text.match(/\s*\S+/g) ?? [];

/** A PNG of one pixel, a WAV of ten samples, and the first box of an MP4. */
export const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
export const wav = wavOf(10);
export const mp4 = Buffer.from('0000001c667479706d703432000000006d70343269736f6d61766331', 'hex');

function wavOf(samples: number): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples * 2, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20); // PCM
  head.writeUInt16LE(1, 22); // one channel
  head.writeUInt32LE(8_000, 24);
  head.writeUInt32LE(16_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples * 2, 40);
  return Buffer.concat([head, Buffer.alloc(samples * 2)]);
}
