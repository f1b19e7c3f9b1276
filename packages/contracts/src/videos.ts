/** Videos, in OpenAI's shape. Each is a task of a video kind. */
import { z } from 'zod';
import { timestamp, withDefault } from './fields.ts';
import { idSchema } from './ids.ts';
import { deletedSchema, pageQuery } from './pages.ts';

/** The kinds of task that are videos. */
export const videoKinds = ['text-to-video', 'image-to-video'] as const;

export const videoListQuery = pageQuery({ max: 100, default: 20 });
export type VideoListQuery = z.output<typeof videoListQuery>;

export const videoContentQuery = z.object({ variant: withDefault(z.enum(['video', 'thumbnail']), 'video') });
export type VideoContentQuery = z.output<typeof videoContentQuery>;

export const videoObject = z.object({
  id: idSchema('task'),
  object: z.literal('video'),
  model: z.string(),
  status: z.enum(['queued', 'in_progress', 'completed', 'failed']),
  progress: z.int().min(0).max(100),
  created_at: timestamp,
  completed_at: timestamp.nullable(),
  expires_at: timestamp.nullable(),
  prompt: z.string().nullable(),
  /** Width × height in pixels, e.g. `720x1280`. */
  size: z.string(),
  /** Duration as text, as OpenAI's clients read it. */
  seconds: z.string(),
  remixed_from_video_id: z.null(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});
export type VideoObject = z.output<typeof videoObject>;

export const videoDeleted = deletedSchema(idSchema('task'), 'video.deleted');
export type VideoDeleted = z.output<typeof videoDeleted>;
