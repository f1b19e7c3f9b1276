/** Short films of what was asked for: H.264 in MP4, by an encoder that is WebAssembly. */
import { createH264MP4Encoder, type H264MP4Encoder } from './mp4-encoder.ts';
import type { Media } from '#catalogue';
import { renderText } from './render-image.ts';

/** Film takes time to encode, and the sandbox's shows nothing more at its end than at its start. */
const maxSeconds = 10;
const maxSide = 320;
const framesPerSecond = 8;

export async function renderVideo(
  text: string,
  seconds: number,
  [wide, high]: [number, number],
): Promise<Media> {
  const even = (side: number) =>
    Math.max(32, Math.floor((side * Math.min(1, maxSide / Math.max(wide, high))) / 16) * 16);
  const [width, height] = [even(wide), even(high)];
  const length = Math.min(seconds, maxSeconds);
  const frames = Math.max(1, Math.round(length * framesPerSecond));
  const encoder: H264MP4Encoder = await createH264MP4Encoder();
  try {
    Object.assign(encoder, { width, height, frameRate: framesPerSecond, quantizationParameter: 33 });
    encoder.initialize();
    for (let at = 1; at <= frames; at++) {
      encoder.addFrameRgba(renderText(text, [width, height], at / frames).pixels);
      await new Promise(setImmediate); // Others wait for the event loop.
    }
    encoder.finalize();
    const bytes = encoder.FS.readFile(encoder.outputFilename);
    return { bytes, type: 'video/mp4', width, height, seconds: frames / framesPerSecond };
  } finally {
    encoder.delete();
  }
}
