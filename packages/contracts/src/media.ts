/** Images, audio and video: how a request names them, and how a response does. */
import { z } from 'zod';
import { idSchema } from './ids.ts';

/** Maximum characters of one inline medium in a request body. Larger media are uploaded as files. */
const maxInlineLength = 48 * 2 ** 20;

const forms = 'base64, a data URI, the id of an uploaded file, or an https URL';

/** The four forms. Base64 may be broken into lines; in a data URI some of its characters may be percent-encoded. */
const sourcePattern =
  /^(?:[Hh][Tt][Tt][Pp][Ss]?:\/\/\S+|file_[0-9a-f]{32}|\s*[Dd][Aa][Tt][Aa]:[^]{0,256}?;\s*[Bb][Aa][Ss][Ee]64\s*,[A-Za-z0-9+/_\s%=-]+|(?!file)[A-Za-z0-9+/_\s-]+={0,2}\s*)$/;

/** One medium in a request: base64, a data URI, the id of an uploaded file, or an https URL. */
export const mediaSource = z
  .string()
  .max(maxInlineLength, `it is too large to be inline; upload it to /v1/files and give its id`)
  .regex(sourcePattern, `it must be ${forms}`)
  .meta({ description: `Media: ${forms}.` })
  .brand<'media'>();
export type MediaSource = z.output<typeof mediaSource>;

export type ParsedMediaSource =
  | { readonly form: 'inline'; readonly type: string | null; readonly base64: string }
  | { readonly form: 'file'; readonly id: string }
  | { readonly form: 'url'; readonly url: string };

const fileId = idSchema('file');

/** Up to the base64. Browsers write parameters with commas in them: `data:video/webm;codecs=vp9,opus;base64,`. */
const dataUriHead = /^\s*data:([^]{0,256}?);\s*base64\s*,/i;

/** @returns null if the text has none of the forms. Does not check that a file or a URL exists. */
export function parseMediaSource(text: string): ParsedMediaSource | null {
  if (/^https?:\/\//i.test(text)) return URL.canParse(text) ? { form: 'url', url: text } : null;
  if (text.startsWith('file')) return fileId.safeParse(text).success ? { form: 'file', id: text } : null;
  const [head, declared = ''] = dataUriHead.exec(text) ?? [''];
  if (head === '' && /^\s*data:/i.test(text)) return null;
  const base64 = toPlainBase64(text.slice(head.length));
  return isBase64(base64) ? { form: 'inline', type: toMimeType(declared), base64 } : null;
}

/** @returns the type without parameters, in lower case; null if there is none. */
export function toMimeType(header: string): string | null {
  return /^\s*([\w.+-]+\/[\w.+-]+)\s*(?:;|$)/.exec(header)?.[1]?.toLowerCase() ?? null;
}

/** Removes line breaks and spaces, and decodes `%2B`, `%2F`, `%3D`. */
function toPlainBase64(text: string): string {
  const decoded = text.includes('%')
    ? text.replaceAll(/%(2B|2F|3D|0A|0D|20)/gi, (_, code: string) => String.fromCharCode(parseInt(code, 16)))
    : text;
  return /\s/.test(decoded) ? decoded.replaceAll(/\s+/g, '') : decoded;
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
