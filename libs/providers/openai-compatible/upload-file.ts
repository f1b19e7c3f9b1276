import { toFile } from 'openai';
import type { Media } from '#catalogue';

/** OpenAI reads the container from the file name's extension and knows few of them. Absent: the type's second part. */
const extensions: Readonly<Record<string, string>> = {
  'audio/aac': 'mpeg',
  'video/3gpp': 'mp4',
  'video/matroska': 'webm',
  'video/quicktime': 'mp4',
  'video/x-m4v': 'mp4',
};

/** @returns a file for a form upload. */
export function toUploadFile({ bytes, type }: Media) {
  const extension = extensions[type] ?? type.split('/')[1]?.split(/[+;]/)[0] ?? 'bin';
  return toFile(new Uint8Array(bytes), `input.${extension}`, { type });
}
