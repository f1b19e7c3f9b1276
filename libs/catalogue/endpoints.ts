/**
 * Paths of OpenAI's API that batches may name and that call a kind's fields otherwise than the kind does: what becomes of
 * a line's body, and of its answer. A path that carries its kind as it is stands in the kind itself (`endpoint`).
 */
import type { kinds } from './kinds/index.ts';

type KindId = keyof typeof kinds;
type Fields = Readonly<Record<string, unknown>>;

export interface Endpoint {
  readonly path: string;
  readonly kinds: readonly KindId[];
  /** Which of them a body is of; also of one that breaks every rule. */
  kindOf(body: Fields): KindId;
  /** The body under the kind's names; what the kind does not know is left out by its schema. */
  toFields(body: Fields): Fields;
  /** @param answer of the kind, its media whole in it as base64 `data`. @returns it in OpenAI's shape. */
  toAnswer(answer: Fields, body: Fields): object;
}

interface Data extends Fields {
  readonly data: string;
}

/** Clients send null for what they leave to the server. */
const given = (body: Fields): Fields =>
  Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));

const now = () => Math.floor(Date.now() / 1_000);

/** A picture as OpenAI's JSON names it: `{image_url}` or `{file_id}`; ours also the source itself. */
function sourceOf(reference: unknown): unknown {
  if (Array.isArray(reference)) return reference.map(sourceOf);
  if (typeof reference !== 'object' || reference === null) return reference;
  const { file_id: file, image_url: url } = reference as Fields;
  return file ?? url;
}

function imagesAnswer({ images, revised_prompt, millrace }: Fields): object {
  const data = (images as readonly Data[]).map(({ data: b64_json }) => ({
    b64_json,
    ...(revised_prompt !== undefined && { revised_prompt }),
  }));
  return { created: now(), data, ...(millrace !== undefined && { millrace }) };
}

const generations: Endpoint = {
  path: '/v1/images/generations',
  kinds: ['text-to-image'],
  kindOf: () => 'text-to-image',
  toFields: given,
  toAnswer: imagesAnswer,
};

const edits: Endpoint = {
  path: '/v1/images/edits',
  kinds: ['image-to-image', 'inpainting'],
  kindOf: ({ mask }) => (mask == null ? 'image-to-image' : 'inpainting'),
  toFields(body) {
    const { images, image = images, mask, ...fields } = given(body);
    const pictures = sourceOf(image);
    const [only, ...others] = [pictures].flat();
    return {
      ...fields,
      image: others.length > 0 ? pictures : only,
      ...(mask !== undefined && { mask: sourceOf(mask) }),
    };
  },
  toAnswer: imagesAnswer,
};

const videos: Endpoint = {
  path: '/v1/videos',
  kinds: ['text-to-video', 'image-to-video'],
  kindOf: ({ input_reference: reference }) => (reference == null ? 'text-to-video' : 'image-to-video'),
  toFields(body) {
    const { input_reference: reference, ...fields } = given(body);
    return { ...fields, ...(reference !== undefined && { image: sourceOf(reference) }) };
  },
  toAnswer: ({ video, thumbnail, millrace }, { model, prompt, size = '720x1280', seconds = 4 }) => ({
    ...{ object: 'video', model, status: 'completed', progress: 100, completed_at: now() },
    ...{ prompt, size, seconds: String(seconds), error: null },
    millrace: { ...(millrace as object), video, thumbnail },
  }),
};

const speech: Endpoint = {
  path: '/v1/audio/speech',
  kinds: ['text-to-speech'],
  kindOf: () => 'text-to-speech',
  toFields(body) {
    const { input, ...fields } = given(body);
    return { ...fields, text: input };
  },
  toAnswer: (answer) => answer,
};

interface Span {
  readonly text: string;
  readonly start: number;
  readonly end: number | null;
}

const isByWord = ({ timestamp_granularities: by }: Fields) => Array.isArray(by) && by.includes('word');

const transcription = (path: string, translate: boolean): Endpoint => ({
  path,
  kinds: ['automatic-speech-recognition'],
  kindOf: () => 'automatic-speech-recognition',
  toFields(body) {
    const { file, response_format: format, ...fields } = given(body);
    const timestamps = isByWord(body) ? 'word' : 'segment';
    return {
      ...fields,
      audio: sourceOf(file),
      ...(format === 'verbose_json' && { timestamps }),
      ...(translate && { translate }),
    };
  },
  toAnswer({ chunks, ...answer }, body) {
    if (!chunks) return answer;
    const spans = chunks as readonly Span[];
    const segments = spans.map((span, id) => ({ id, ...span }));
    const words = spans.map(({ text: word, start, end }) => ({ word, start, end }));
    return {
      ...{ task: translate ? 'translate' : 'transcribe', ...answer },
      ...(isByWord(body) ? { words } : { segments }),
    };
  },
});

const endpoints: readonly Endpoint[] = [
  generations,
  edits,
  videos,
  speech,
  transcription('/v1/audio/transcriptions', false),
  transcription('/v1/audio/translations', true),
];

export const endpointAt = (path: string): Endpoint | undefined => endpoints.find((one) => one.path === path);

/** @returns every path whose lines are of this kind, but for `/v1/tasks`. */
export const endpointsOf = (kind: { readonly id: string; readonly endpoint?: string }): string[] => [
  ...(kind.endpoint ? [kind.endpoint] : []),
  ...endpoints.filter(({ kinds }) => kinds.some((id) => id === kind.id)).map(({ path }) => path),
];
