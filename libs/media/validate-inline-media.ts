/** What can be said of a request's media before it is queued: of those that came with it, everything but the decoding. */
import type { MediaSlot } from '#catalogue';
import { parseMediaSource } from '@millrace/contracts';
import { InvalidInput } from '#domain';
import { readImageMetadata, checkMediaType } from './inspect-media.ts';

/** @returns the ids of files, and the URLs, that are still to be asked for. @throws InvalidInput */
export async function validateInlineMedia(
  slots: readonly MediaSlot[],
): Promise<{ files: { id: string; param: string }[]; urls: { url: string; param: string }[] }> {
  const files = [];
  const urls = [];
  for (const { source, param, rule } of slots) {
    const parsed = parseMediaSource(source);
    if (!parsed) {
      throw new InvalidInput(
        `'${param}': give base64, a data URI, the id of an uploaded file, or an https URL.`,
        { code: 'invalid_media', param },
      );
    }
    if (parsed.form === 'file') files.push({ id: parsed.id, param });
    else if (parsed.form === 'url') urls.push({ url: parsed.url, param });
    else {
      const bytes = Buffer.from(parsed.base64, 'base64');
      const type = checkMediaType(bytes, parsed.type, rule, param);
      if (type.startsWith('image/')) await readImageMetadata(bytes, rule, param);
    }
  }
  return { files, urls };
}
