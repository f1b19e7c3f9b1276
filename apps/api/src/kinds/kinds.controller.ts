/** `GET /v1/kinds`: every kind of task, with its schemas and examples that run as they are. */
import { Controller, Get } from '@nestjs/common';
import type { KindList, KindObject } from '@millrace/contracts';
import { z } from 'zod';
import { kindIds, findKind, type KindId } from '#catalogue';
import { findSameFieldsPath } from '#openai-endpoints';
import { Requires } from '../access/decorators.ts';

@Controller('v1/kinds')
export class KindsController {
  private readonly list: KindList = { object: 'list', data: kindIds.map((id) => this.toKindObject(id)) };

  @Get()
  @Requires('kinds:read')
  getKinds(): KindList {
    return this.list;
  }

  private toKindObject(id: KindId): KindObject {
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
}
