/** Media sources of what has no media. */
import type { MediaSources } from '#media';

const none = async (): Promise<never> => {
  throw new Error('nothing here has media');
};

export const noMedia: MediaSources = { readFile: none, fetchUrl: none };
