/** Detects the type of media from the bytes. A file name or a header is only a claim. */
import { fileTypeFromBuffer } from 'file-type';

/** Names that `file-type` uses for formats whose usual name is another one. */
const usualNames: Readonly<Record<string, string>> = {
  'application/ogg': 'audio/ogg',
  'audio/x-m4a': 'audio/mp4',
  'image/apng': 'image/png',
};

/** @returns a MIME type without parameters; null if the format is unknown. */
export async function detectMimeType(bytes: Uint8Array): Promise<string | null> {
  const detected = await fileTypeFromBuffer(bytes);
  if (!detected) return null;
  const type = detected.mime.split(';')[0]!;
  return usualNames[type] ?? type;
}
