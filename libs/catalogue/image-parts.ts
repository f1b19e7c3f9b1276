/** Images inside messages and lists of parts, as OpenAI's `image_url`: they reach the provider as data URIs. */
import type { ChatMessage } from '@millrace/contracts';
import { seenImage, type Media, type MediaSlot } from './media.ts';

/** The `image_url` parts of a list; anything else has none. @param param where the list stands in the body. */
export function imageParts(param: string, parts: unknown): MediaSlot[] {
  if (!Array.isArray(parts)) return [];
  return parts.flatMap((part: unknown, at): MediaSlot[] => {
    if (!isImagePart(part)) return [];
    const { image_url: image } = part;
    return [
      {
        param: `${param}.${at}.image_url.url`,
        rule: seenImage,
        source: image.url,
        put: (media) => (image.url = dataUri(media)),
      },
    ];
  });
}

export const imagesOf = (messages: readonly ChatMessage[]): MediaSlot[] =>
  messages.flatMap(({ content }, at) => imageParts(`messages.${at}.content`, content));

function isImagePart(part: unknown): part is { image_url: { url: string } } {
  return typeof part === 'object' && part !== null && 'type' in part && part.type === 'image_url';
}

function dataUri({ type, bytes }: Media): string {
  return `data:${type};base64,${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}`;
}
