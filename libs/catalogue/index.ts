import type { Kind } from './kind.ts';
import { kinds } from './kinds/index.ts';

export type { Answer, Kind, Usage } from './kind.ts';
export type { EmbeddingsInput, EmbeddingsOutput } from './kinds/embeddings.ts';
export type { Media, MediaRule, MediaSlot, MediaType } from './media.ts';
export { findEndpoint as endpointAt, listEndpointPaths as endpointsOf } from './endpoints.ts';
export { packingOf } from './packing-of.ts';
export {
  parseLineBody as lineBody,
  buildTaskBody as taskBody,
  tasksPath as tasksEndpoint,
} from './task-body.ts';
export { kinds };

export type KindId = keyof typeof kinds;
export type InputOf<K extends KindId> =
  (typeof kinds)[K] extends Kind<infer _B, infer Input, infer _O> ? Input : never;
export type OutputOf<K extends KindId> =
  (typeof kinds)[K] extends Kind<infer _B, infer _I, infer Output> ? Output : never;

export const kindIds = Object.keys(kinds) as KindId[];

/** The entry of a kind whose types nobody needs. @returns undefined where there is no such kind. */
export function kindOf(id: KindId): Kind;
export function kindOf(id: string): Kind | undefined;
export function kindOf(id: string): Kind | undefined {
  return Object.hasOwn(kinds, id) ? kinds[id as KindId] : undefined;
}

/** @returns the kind that an endpoint's path carries, or undefined. */
export function kindOfEndpoint(path: string): KindId | undefined {
  return kindIds.find((id) => kindOf(id).endpoint === path);
}
