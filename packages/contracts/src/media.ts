/** Images, audio and video: how a request names them, and how a response does. */
import { z } from 'zod';
import { idSchema } from './ids.ts';

/** Maximum characters of one inline medium in a request body. Larger media are uploaded as files. */
const maxInlineLength = 48 * 2 ** 20;

const forms = 'base64, a data URI, the id of an uploaded file, or an https URL';

/** One medium in a request: base64, a data URI, the id of an uploaded file, or an https URL. */
export const mediaSource = z
  .string()
  .min(1)
  .max(maxInlineLength, `too large to be inline; upload it to /v1/files and give its id`)
  .refine((text) => parseMediaSource(text) !== null, `give ${forms}`)
  .meta({ description: `Media: ${forms}.` })
  .brand<'media'>();
export type MediaSource = z.output<typeof mediaSource>;

export type ParsedMediaSource =
  | { readonly form: 'inline'; readonly type: string | null; readonly base64: string }
  | { readonly form: 'file'; readonly id: string }
  | { readonly form: 'url'; readonly url: string };

const fileId = idSchema('file');

/** @returns null if the text has none of the forms. Does not check that a file or a URL exists. */
export function parseMediaSource(text: string): ParsedMediaSource | null {
  if (/^https?:\/\//i.test(text)) return URL.canParse(text) ? { form: 'url', url: text } : null;
  if (text.startsWith('file')) return fileId.safeParse(text).success ? { form: 'file', id: text } : null;
  const [head, type = null] = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w.+-]+=[\w.+-]+)*;base64,/i.exec(text) ?? [''];
  if (head === '' && text.startsWith('data:')) return null;
  const base64 = text.slice(head.length);
  return isBase64(base64) ? { form: 'inline', type: type && type.toLowerCase(), base64 } : null;
}

function isBase64(text: string): boolean {
  const length = text.length - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
  return length > 0 && length % 4 !== 1 && /^[A-Za-z0-9+/_-]+$/.test(text.slice(0, length));
}

/** One medium in a response: by signed URL in a task, as base64 in a batch line. */
export const mediaObject = z.object({
  object: z.literal('media'),
  /** Index among the media of the response, from 0. */
  index: z.int().nonnegative(),
  content_type: z.string(),
  bytes: z.int().nonnegative(),
  width: z.int().positive().optional(),
  height: z.int().positive().optional(),
  /** Duration of audio and video. */
  seconds: z.number().nonnegative().optional(),
  url: z.string().optional(),
  data: z.string().optional(),
});
export type MediaObject = z.output<typeof mediaObject>;
