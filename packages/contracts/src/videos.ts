/** `/v1/videos` in OpenAI's shape: what a client may ask of those that there are. */
import { z } from 'zod';
import { pageQuery } from './pages.ts';

export const videoListQuery = pageQuery({ max: 100, default: 20 });
export type VideoListQuery = z.output<typeof videoListQuery>;

export const videoContentQuery = z.object({ variant: z.enum(['video', 'thumbnail']).default('video') });
export type VideoContentQuery = z.output<typeof videoContentQuery>;
