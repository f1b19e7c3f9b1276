/** The MIME type of an object follows from the extension of its key, so that it need not be stored beside the bytes. */
import { InvalidInput } from '#domain';

const fallback = 'application/octet-stream';

const contentTypes: Readonly<Record<string, string>> = {
  jsonl: 'application/jsonl',
  json: 'application/json',
  txt: 'text/plain; charset=utf-8',
  gz: 'application/gzip',
  png: 'image/png',
  jpg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  mp4: 'video/mp4',
  webm: 'video/webm',
  mp3: 'audio/mpeg',
  wav: 'audio/wav',
  flac: 'audio/flac',
  aac: 'audio/aac',
  opus: 'audio/ogg',
  ogg: 'audio/ogg',
  pcm: 'audio/pcm',
};

/** `segments/x.jsonl` → `application/jsonl`; `application/octet-stream` for an unknown extension or none. */
export function getContentType(key: string): string {
  const name = key.slice(key.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  const extension = dot < 1 ? '' : name.slice(dot + 1).toLowerCase();
  return Object.hasOwn(contentTypes, extension) ? contentTypes[extension]! : fallback;
}

/** Throws `InvalidInput` if `contentType` is not the type that readers of the object get. */
export function assertContentType(key: string, contentType: string | undefined): void {
  if (contentType === undefined || stripParameters(contentType) === stripParameters(getContentType(key)))
    return;
  throw new InvalidInput('The content type does not match the extension of the key.', {
    code: 'content_type_mismatch',
  });
}

function stripParameters(type: string): string {
  return type.split(';', 1)[0]!.trim().toLowerCase();
}
