/** A kind of task as the API answers it, with its schemas and examples. */
import type { KindObject } from '@millrace/contracts';
import { buildKindSchemas, findKind, type KindId } from '#catalogue';
import { findSameFieldsPath } from '#openai-endpoints';

export function toKindObject(id: KindId): KindObject {
  const kind = findKind(id);
  const { title, modalities, streams, timeoutMs, maxTimeoutMs, examples } = kind;
  const schemas = buildKindSchemas(kind);
  return {
    object: 'kind',
    id,
    name: title,
    modalities,
    endpoint: findSameFieldsPath(id),
    input_schema: schemas.input,
    output_schema: schemas.output,
    streams,
    timeout_seconds: timeoutMs / 1_000,
    max_timeout_seconds: maxTimeoutMs / 1_000,
    examples: examples.map(({ model, input: values, options = {} }) => ({ model, input: values, options })),
  };
}
