/** A kind of task as the API answers it, with its schemas and examples. */
import type { KindObject } from '@millrace/contracts';
import { z } from 'zod';
import { findKind, type KindId } from '#catalogue';
import { findSameFieldsPath } from '#openai-endpoints';

export function toKindObject(id: KindId): KindObject {
  const { title, modalities, input, output, streams, timeoutMs, maxTimeoutMs, examples } = findKind(id);
  return {
    object: 'kind',
    id,
    name: title,
    modalities,
    endpoint: findSameFieldsPath(id),
    input_schema: z.toJSONSchema(input, { io: 'input' }),
    output_schema: z.toJSONSchema(output),
    streams,
    timeout_seconds: timeoutMs / 1_000,
    max_timeout_seconds: maxTimeoutMs / 1_000,
    examples: examples.map(({ model, input: values, options = {} }) => ({ model, input: values, options })),
  };
}
