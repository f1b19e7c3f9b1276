/** Renders a short video that shows the prompt: H.264 in MP4, by an encoder in WebAssembly. */
import type { Media } from '#catalogue';
import { createH264MP4Encoder, type H264MP4Encoder } from './mp4-encoder.ts';
import { renderText } from './render-image.ts';

/** Encoding takes time, and only the progress bar changes during the video. */
const maxSeconds = 10;
const framesPerSecond = 8;
/** A frame of 1280x720 takes 20 times as long to encode as one of 320x180: a large video has fewer frames. */
const maxPixels = 40 * 320 * 320;
const maxSide = 4_096;

export async function renderVideo(
  text: string,
  seconds: number,
  [requestedWidth, requestedHeight]: readonly [number, number],
): Promise<Media> {
  // The encoder needs even sides.
  const toSide = (side: number) => Math.min(maxSide, Math.max(32, side + (side % 2)));
  const [width, height] = [toSide(requestedWidth), toSide(requestedHeight)];
  const duration = Math.min(seconds, maxSeconds);
  const affordable = Math.max(1, Math.floor(maxPixels / (width * height)));
  const frames = Math.max(1, Math.min(affordable, Math.round(duration * framesPerSecond)));
  const frameRate = frames / duration;
  const encoder: H264MP4Encoder = await createH264MP4Encoder();
  try {
    Object.assign(encoder, { width, height, frameRate, quantizationParameter: 33 });
    encoder.initialize();
    for (let frame = 1; frame <= frames; frame++) {
      encoder.addFrameRgba(renderText(text, [width, height], frame / frames).pixels);
      await new Promise(setImmediate); // Yields to the event loop.
    }
    encoder.finalize();
    const bytes = encoder.FS.readFile(encoder.outputFilename);
    return { bytes, type: 'video/mp4', width, height, seconds: duration };
  } finally {
    encoder.delete();
  }
}
