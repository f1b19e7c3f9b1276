/** The smallest picture and the smallest sound that are whole, for examples that anybody can send as they stand. */

/** A PNG of one pixel. */
export const exampleImage =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPj/HwADAgH/5WdIGQAAAABJRU5ErkJggg==';

/** A WAV of eight silent samples at 8 kHz. */
export const exampleSound =
  'data:audio/wav;base64,UklGRjQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YRAAAAAAAAAAAAAAAAAAAAAAAAAA';
