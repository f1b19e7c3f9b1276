/** Images in messages and lists of parts, as OpenAI's `image_url`. Providers get them as data URIs. */
import type { ChatMessage } from '@millrace/contracts';
import { downscaledImageRule, type Media, type MediaField } from './media.ts';

/** @param param path of the list in the body. @returns the images of its `image_url` parts. */
export function listImageParts(param: string, parts: unknown): MediaField[] {
  if (!Array.isArray(parts)) return [];
  return parts.flatMap((part: unknown, index): MediaField[] => {
    if (!isImagePart(part)) return [];
    const { image_url: image } = part;
    return [
      {
        param: `${param}.${index}.image_url.url`,
        rule: downscaledImageRule,
        source: image.url,
        replace: (media) => (image.url = toDataUri(media)),
      },
    ];
  });
}

export const listMessageImages = (messages: readonly ChatMessage[]): MediaField[] =>
  messages.flatMap(({ content }, index) => listImageParts(`messages.${index}.content`, content));

function isImagePart(part: unknown): part is { image_url: { url: string } } {
  return typeof part === 'object' && part !== null && 'type' in part && part.type === 'image_url';
}

function toDataUri({ type, bytes }: Media): string {
  return `data:${type};base64,${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}`;
}
