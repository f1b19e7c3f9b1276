/** `/v1/images/generations` and `/v1/images/edits`. */
import {
  dropNulls,
  dropUnstreamed,
  nowInSeconds,
  toMediaSource,
  type Fields,
  type OpenAiEndpoint,
} from './endpoint.ts';

interface MediaData extends Fields {
  readonly data: string;
}

function toImagesResponse({ images, revised_prompt, millrace }: Fields): object {
  const data = (images as readonly MediaData[]).map(({ data: b64_json }) => ({
    b64_json,
    ...(revised_prompt !== undefined && { revised_prompt }),
  }));
  return { created: nowInSeconds(), data, ...(millrace !== undefined && { millrace }) };
}

export const imageGenerations: OpenAiEndpoint = {
  path: '/v1/images/generations',
  kinds: ['text-to-image'],
  isDirect: false,
  accepts: ['json'],
  replies: ['json'],
  chooseKind: () => 'text-to-image',
  toKindBody: (body) => dropUnstreamed(dropNulls(body)),
  toResponse: toImagesResponse,
};

export const imageEdits: OpenAiEndpoint = {
  path: '/v1/images/edits',
  kinds: ['image-to-image', 'inpainting'],
  isDirect: false,
  accepts: ['json', 'form'],
  replies: ['json'],
  chooseKind: ({ mask }) => (mask == null ? 'image-to-image' : 'inpainting'),
  toKindBody(body) {
    const { images, image = images, mask, ...fields } = dropUnstreamed(dropNulls(body));
    const sources = toMediaSource(image);
    const [first, ...others] = [sources].flat();
    return {
      ...fields,
      image: others.length > 0 ? sources : first,
      ...(mask !== undefined && { mask: toMediaSource(mask) }),
    };
  },
  toResponse: toImagesResponse,
};
