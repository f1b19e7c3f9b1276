/**
 * The endpoint table: every path of OpenAI's API that runs tasks. The API serves the direct ones from it, and batch lines
 * of all of them are mapped by it, so that the two cannot drift apart. A new endpoint is one entry here.
 */
import type { KindId } from '#catalogue';
import { speech, transcriptions, translations } from './audio.ts';
import { ChatStream } from './chat-stream.ts';
import type { OpenAiEndpoint } from './endpoint.ts';
import { imageEdits, imageGenerations } from './images.ts';
import { videos } from './videos.ts';

/** An endpoint whose bodies are those of its kind, field by field. */
const sameFields = (path: string, kind: KindId) =>
  ({
    path,
    kinds: [kind],
    isDirect: false,
    accepts: ['json'],
    replies: ['json'],
    chooseKind: () => kind,
  }) as const satisfies OpenAiEndpoint;

export const openAiEndpoints: readonly OpenAiEndpoint[] = [
  { ...sameFields('/v1/embeddings', 'embeddings'), isDirect: true },
  {
    ...sameFields('/v1/chat/completions', 'chat-completion'),
    isDirect: true,
    replies: ['json', 'events'],
    openStream: (body, taskId) => new ChatStream(body, taskId),
  },
  sameFields('/v1/completions', 'text-generation'),
  sameFields('/v1/moderations', 'moderation'),
  imageGenerations,
  imageEdits,
  videos,
  speech,
  transcriptions,
  translations,
];

export const findEndpoint = (path: string): OpenAiEndpoint | undefined =>
  openAiEndpoints.find((endpoint) => endpoint.path === path);

/** @returns the paths that run this kind. */
export const listEndpointPaths = (kind: string): string[] =>
  openAiEndpoints.filter(({ kinds }) => kinds.some((id) => id === kind)).map(({ path }) => path);

/** @returns the path whose body has the kind's own field names, if there is one. */
export const findSameFieldsPath = (kind: string): string | null =>
  openAiEndpoints.find((endpoint) => endpoint.kinds[0] === kind && !endpoint.toKindBody)?.path ?? null;
