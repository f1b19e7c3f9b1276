/** Validates a request's media before the request is queued. Inline media is checked, but not decoded. */
import { parseMediaSource } from '@millrace/contracts';
import type { MediaField } from '#catalogue';
import { InvalidInput } from '#domain';
import { checkMediaType, readImageMetadata } from './inspect-media.ts';

/** @returns the file ids and the URLs in the fields; the caller checks those. @throws InvalidInput */
export async function validateInlineMedia(
  fields: readonly MediaField[],
): Promise<{ files: { id: string; param: string }[]; urls: { url: string; param: string }[] }> {
  const files = [];
  const urls = [];
  for (const { source, param, rule } of fields) {
    const parsed = parseMediaSource(source);
    if (!parsed) {
      throw new InvalidInput(
        `'${param}': send base64, a data URI, the id of an uploaded file, or an https URL.`,
        { code: 'invalid_media', param },
      );
    }
    if (parsed.form === 'file') files.push({ id: parsed.id, param });
    else if (parsed.form === 'url') urls.push({ url: parsed.url, param });
    else {
      const bytes = Buffer.from(parsed.base64, 'base64');
      const type = await checkMediaType(bytes, parsed.type, rule, param);
      if (type.startsWith('image/')) await readImageMetadata(bytes, rule, param);
    }
  }
  return { files, urls };
}
