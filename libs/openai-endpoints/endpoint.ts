/** One entry of the endpoint table: a path of OpenAI's API, the kinds of task behind it, and how it maps to them. */
import type { KindId } from '#catalogue';
import type { ResponseStream } from './response-stream.ts';

export type Fields = Readonly<Record<string, unknown>>;

/**
 * What a direct request is answered with. `json`: the response body. `events`: server-sent events, when the request has
 * `stream: true`. `bytes`: the output's media itself. `resource`: the task as a resource, at once; the client polls it.
 */
export type ReplyFormat = 'json' | 'events' | 'bytes' | 'resource';

export interface OpenAiEndpoint {
  readonly path: string;
  /** The kinds of task that it can run. `chooseKind` picks one. */
  readonly kinds: readonly [KindId, ...KindId[]];
  /** Whether the API serves it directly. Otherwise only batch lines use it. */
  readonly isDirect: boolean;
  /** Body formats of a direct request. Batch lines are always JSON. */
  readonly accepts: readonly ('json' | 'form')[];
  /** Form fields whose text is JSON (numbers, objects). All other form fields are text or files. */
  readonly jsonFormFields?: readonly string[];
  readonly replies: readonly ReplyFormat[];
  /** Picks the kind for a body, also for one that is invalid. */
  chooseKind(body: Fields): KindId;
  /** What the endpoint calls a field of the kind, where it has another name. Errors name the field so. */
  readonly fieldNames?: Readonly<Record<string, string>>;
  /** Maps the body to the kind's own field names. A field that the kind does not know is an error of its schema. */
  toKindBody?(body: Fields): Fields;
  /**
   * Maps the kind's output to OpenAI's response.
   * @param output with its media inlined as base64 `data`.
   */
  toResponse?(output: Fields, body: Fields): object;
  /** Required for `events`. */
  openStream?(body: Fields, taskId: string): ResponseStream;
}

/** Clients send null for a field that they leave to the server. */
export const dropNulls = (body: Fields): Fields =>
  Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));

/** Streaming is for direct chats only: `stream: false` and its options are what an answer in one piece is asked for with. */
export const dropUnstreamed = ({
  stream,
  partial_images: partial,
  stream_format: format,
  ...fields
}: Fields): Fields => ({
  ...fields,
  ...(stream != null && stream !== false && { stream }),
  ...(partial != null && partial !== 0 && { partial_images: partial }),
  ...(format != null && format !== 'audio' && { stream_format: format }),
});

/** @param reference media as OpenAI writes it, `{image_url}` or `{file_id}`, or a media source as the kinds take it. */
export function toMediaSource(reference: unknown): unknown {
  if (Array.isArray(reference)) return reference.map(toMediaSource);
  if (typeof reference !== 'object' || reference === null) return reference;
  const { file_id: file, image_url: url } = reference as Fields;
  return file ?? url;
}

export const nowInSeconds = (): number => Math.floor(Date.now() / 1_000);
