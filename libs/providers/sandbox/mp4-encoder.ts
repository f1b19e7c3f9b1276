/** Loads the MP4 encoder and removes the process-wide event handlers that its runtime installs. */

export interface H264MP4Encoder {
  readonly outputFilename: string;
  readonly FS: { readFile(path: string): Uint8Array };
  initialize(): void;
  addFrameRgba(pixels: Uint8Array): void;
  finalize(): void;
  delete(): void;
}

const events = ['uncaughtException', 'unhandledRejection'] as const;

/** Loaded with the first video, because it is megabytes. Its handlers for uncaught errors would end the process. */
export async function createH264MP4Encoder(): Promise<H264MP4Encoder> {
  const listenersBefore = events.map((event) => process.listeners(event as 'uncaughtException'));
  const { default: library } = await import('h264-mp4-encoder');
  const encoder = await library.createH264MP4Encoder();
  for (const [at, event] of events.entries()) {
    for (const listener of process.listeners(event as 'uncaughtException')) {
      if (!listenersBefore[at]!.includes(listener)) process.off(event, listener);
    }
  }
  return encoder;
}
