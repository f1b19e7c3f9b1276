/** Renders a short video that shows the prompt: H.264 in MP4, by an encoder in WebAssembly. */
import type { Media } from '#catalogue';
import { createH264MP4Encoder, type H264MP4Encoder } from './mp4-encoder.ts';
import { renderText } from './render-image.ts';

/** Encoding takes time, and only the progress bar changes during the video. */
const maxSeconds = 10;
const maxSide = 320;
const framesPerSecond = 8;

export async function renderVideo(
  text: string,
  seconds: number,
  [requestedWidth, requestedHeight]: readonly [number, number],
): Promise<Media> {
  const scale = Math.min(1, maxSide / Math.max(requestedWidth, requestedHeight));
  // The encoder needs sides that are multiples of 16.
  const toSide = (side: number) => Math.max(32, Math.floor((side * scale) / 16) * 16);
  const [width, height] = [toSide(requestedWidth), toSide(requestedHeight)];
  const frames = Math.max(1, Math.round(Math.min(seconds, maxSeconds) * framesPerSecond));
  const encoder: H264MP4Encoder = await createH264MP4Encoder();
  try {
    Object.assign(encoder, { width, height, frameRate: framesPerSecond, quantizationParameter: 33 });
    encoder.initialize();
    for (let frame = 1; frame <= frames; frame++) {
      encoder.addFrameRgba(renderText(text, [width, height], frame / frames).pixels);
      await new Promise(setImmediate); // Yields to the event loop.
    }
    encoder.finalize();
    const bytes = encoder.FS.readFile(encoder.outputFilename);
    return { bytes, type: 'video/mp4', width, height, seconds: frames / framesPerSecond };
  } finally {
    encoder.delete();
  }
}
