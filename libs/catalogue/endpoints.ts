/**
 * Paths of OpenAI's API that batches may name and that call a kind's fields otherwise than the kind does: what becomes of
 * a line's body, and of its answer. A path that carries its kind as it is stands in the kind itself (`endpoint`).
 */
import type { kinds } from './kinds/index.ts';

type KindId = keyof typeof kinds;
type Fields = Readonly<Record<string, unknown>>;

export interface OpenAiEndpoint {
  readonly path: string;
  readonly kinds: readonly KindId[];
  /** Which of them a body is of; also of one that breaks every rule. */
  chooseKind(body: Fields): KindId;
  /** The body under the kind's names; what the kind does not know is left out by its schema. */
  toKindBody(body: Fields): Fields;
  /** @param answer of the kind, its media whole in it as base64 `data`. @returns it in OpenAI's shape. */
  toResponse(answer: Fields, body: Fields): object;
}

interface MediaData extends Fields {
  readonly data: string;
}

/** Clients send null for what they leave to the server. */
const dropNulls = (body: Fields): Fields =>
  Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));

const nowSeconds = () => Math.floor(Date.now() / 1_000);

/** A picture as OpenAI's JSON names it: `{image_url}` or `{file_id}`; ours also the source itself. */
function toMediaSource(reference: unknown): unknown {
  if (Array.isArray(reference)) return reference.map(toMediaSource);
  if (typeof reference !== 'object' || reference === null) return reference;
  const { file_id: file, image_url: url } = reference as Fields;
  return file ?? url;
}

function toImagesResponse({ images, revised_prompt, millrace }: Fields): object {
  const data = (images as readonly MediaData[]).map(({ data: b64_json }) => ({
    b64_json,
    ...(revised_prompt !== undefined && { revised_prompt }),
  }));
  return { created: nowSeconds(), data, ...(millrace !== undefined && { millrace }) };
}

const generations: OpenAiEndpoint = {
  path: '/v1/images/generations',
  kinds: ['text-to-image'],
  chooseKind: () => 'text-to-image',
  toKindBody: dropNulls,
  toResponse: toImagesResponse,
};

const edits: OpenAiEndpoint = {
  path: '/v1/images/edits',
  kinds: ['image-to-image', 'inpainting'],
  chooseKind: ({ mask }) => (mask == null ? 'image-to-image' : 'inpainting'),
  toKindBody(body) {
    const { images, image = images, mask, ...fields } = dropNulls(body);
    const pictures = toMediaSource(image);
    const [only, ...others] = [pictures].flat();
    return {
      ...fields,
      image: others.length > 0 ? pictures : only,
      ...(mask !== undefined && { mask: toMediaSource(mask) }),
    };
  },
  toResponse: toImagesResponse,
};

const videos: OpenAiEndpoint = {
  path: '/v1/videos',
  kinds: ['text-to-video', 'image-to-video'],
  chooseKind: ({ input_reference: reference }) => (reference == null ? 'text-to-video' : 'image-to-video'),
  toKindBody(body) {
    const { input_reference: reference, ...fields } = dropNulls(body);
    return { ...fields, ...(reference !== undefined && { image: toMediaSource(reference) }) };
  },
  toResponse: ({ video, thumbnail, millrace }, { model, prompt, size = '720x1280', seconds = 4 }) => ({
    ...{ object: 'video', model, status: 'completed', progress: 100, completed_at: nowSeconds() },
    ...{ prompt, size, seconds: String(seconds), error: null },
    millrace: { ...(millrace as object), video, thumbnail },
  }),
};

const speech: OpenAiEndpoint = {
  path: '/v1/audio/speech',
  kinds: ['text-to-speech'],
  chooseKind: () => 'text-to-speech',
  toKindBody(body) {
    const { input, ...fields } = dropNulls(body);
    return { ...fields, text: input };
  },
  toResponse: (answer) => answer,
};

interface Span {
  readonly text: string;
  readonly start: number;
  readonly end: number | null;
}

const wantsWordTimestamps = ({ timestamp_granularities: by }: Fields) =>
  Array.isArray(by) && by.includes('word');

const buildTranscription = (path: string, translate: boolean): OpenAiEndpoint => ({
  path,
  kinds: ['automatic-speech-recognition'],
  chooseKind: () => 'automatic-speech-recognition',
  toKindBody(body) {
    const { file, response_format: format, ...fields } = dropNulls(body);
    const timestamps = wantsWordTimestamps(body) ? 'word' : 'segment';
    return {
      ...fields,
      audio: toMediaSource(file),
      ...(format === 'verbose_json' && { timestamps }),
      ...(translate && { translate }),
    };
  },
  toResponse({ chunks, ...answer }, body) {
    if (!chunks) return answer;
    const spans = chunks as readonly Span[];
    const segments = spans.map((span, id) => ({ id, ...span }));
    const words = spans.map(({ text: word, start, end }) => ({ word, start, end }));
    return {
      ...{ task: translate ? 'translate' : 'transcribe', ...answer },
      ...(wantsWordTimestamps(body) ? { words } : { segments }),
    };
  },
});

const endpoints: readonly OpenAiEndpoint[] = [
  generations,
  edits,
  videos,
  speech,
  buildTranscription('/v1/audio/transcriptions', false),
  buildTranscription('/v1/audio/translations', true),
];

export const findEndpoint = (path: string): OpenAiEndpoint | undefined =>
  endpoints.find((one) => one.path === path);

/** @returns every path whose lines are of this kind, but for `/v1/tasks`. */
export const listEndpointPaths = (kind: { readonly id: string; readonly endpoint?: string }): string[] => [
  ...(kind.endpoint ? [kind.endpoint] : []),
  ...endpoints.filter(({ kinds }) => kinds.some((id) => id === kind.id)).map(({ path }) => path),
];
