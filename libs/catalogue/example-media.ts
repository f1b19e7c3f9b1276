/** The smallest valid image and audio file, for examples that can be sent as they are. */

/** A PNG of one pixel. */
export const exampleImage =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPj/HwADAgH/5WdIGQAAAABJRU5ErkJggg==';

/** A WAV of eight silent samples at 8 kHz. */
export const exampleAudio =
  'data:audio/wav;base64,UklGRjQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YRAAAAAAAAAAAAAAAAAAAAAAAAAA';
