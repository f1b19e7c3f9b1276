import type { Kind } from './kind.ts';
import { kinds } from './kinds/index.ts';

export type { Answer, Kind, Usage } from './kind.ts';
export type { EmbeddingsInput, EmbeddingsOutput } from './kinds/embeddings.ts';
export type { Media, MediaRule, MediaField, MediaType } from './media.ts';
export { getPacking } from './packing.ts';
export { buildKindSchemas } from './describe-kind.ts';
export { parseKindBody } from './parse-kind-body.ts';
export { listPrompts, requireSingleText } from './prompts.ts';
export { buildTaskBody, tasksPath } from './task-body.ts';
export { kinds };

export type KindId = keyof typeof kinds;
export type InputOf<K extends KindId> =
  (typeof kinds)[K] extends Kind<infer _B, infer Input, infer _O> ? Input : never;
export type OutputOf<K extends KindId> =
  (typeof kinds)[K] extends Kind<infer _B, infer _I, infer Output> ? Output : never;

export const kindIds = Object.keys(kinds) as KindId[];

/** For callers that do not need the types of the kind's body, input and output. */
export function findKind(id: KindId): Kind;
export function findKind(id: string): Kind | undefined;
export function findKind(id: string): Kind | undefined {
  return Object.hasOwn(kinds, id) ? kinds[id as KindId] : undefined;
}
