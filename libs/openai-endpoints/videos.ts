/** `/v1/videos`: a direct request creates a task and is answered with it; a batch line is answered with its result. */
import { videoKinds, type VideoObject } from '@millrace/contracts';
import { dropNulls, nowInSeconds, toMediaSource, type OpenAiEndpoint } from './endpoint.ts';

/** What a video request asks for. Absent fields have OpenAI's defaults. */
export interface VideoRequest {
  readonly model: string;
  readonly prompt?: string | null | undefined;
  readonly size?: string | null | undefined;
  readonly seconds?: string | number | null | undefined;
}

export type VideoState = Pick<VideoObject, 'status' | 'progress' | 'completed_at' | 'error'>;

/** OpenAI's video object, without what only a stored task has: id, creation time, expiry. */
export function buildVideo(
  { model, prompt, size, seconds }: VideoRequest,
  state: VideoState,
): Omit<VideoObject, 'id' | 'created_at' | 'expires_at' | 'remixed_from_video_id'> {
  return {
    object: 'video',
    model,
    prompt: prompt ?? null,
    size: size ?? '720x1280',
    seconds: String(seconds ?? 4),
    ...state,
  };
}

export const videos: OpenAiEndpoint = {
  path: '/v1/videos',
  kinds: videoKinds,
  isDirect: true,
  accepts: ['json', 'form'],
  jsonFormFields: ['metadata', 'num_frames', 'fps', 'seed', 'guidance_scale'],
  replies: ['resource'],
  chooseKind: ({ input_reference: reference }) => (reference == null ? 'text-to-video' : 'image-to-video'),
  fieldNames: { image: 'input_reference' },
  toKindBody(body) {
    const { input_reference: reference, ...fields } = dropNulls(body);
    return { ...fields, ...(reference !== undefined && { image: toMediaSource(reference) }) };
  },
  toResponse({ video, thumbnail, millrace }, body) {
    const state = { status: 'completed', progress: 100, completed_at: nowInSeconds(), error: null } as const;
    // The kind's schema has validated the fields.
    return {
      ...buildVideo(body as unknown as VideoRequest, state),
      millrace: { ...(millrace as object), video, thumbnail },
    };
  },
};
