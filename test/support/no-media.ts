/** Media sources for tests without media. */
import type { MediaSources } from '#media';

const none = async (): Promise<never> => {
  throw new Error('this test has no media');
};

export const noMedia: MediaSources = { readFile: none, fetchUrl: none };
