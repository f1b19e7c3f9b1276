/** `/v1/kinds`: what there is to ask for, with the schemas of each kind and a request that runs as it stands. */
import { Controller, Get } from '@nestjs/common';
import { z } from 'zod';
import { kindIds, kindOf, type KindId } from '#catalogue';

@Controller('v1/kinds')
export class KindsController {
  private readonly list = { object: 'list', data: kindIds.map((id) => this.toKindObject(id)) };

  @Get()
  getKinds(): object {
    return this.list;
  }

  private toKindObject(id: KindId) {
    const { title, modalities, endpoint, input, output, streams, timeoutMs, longestMs, examples } =
      kindOf(id);
    return {
      object: 'kind',
      id,
      name: title,
      modalities,
      endpoint: endpoint ?? null,
      input_schema: z.toJSONSchema(input, { io: 'input' }),
      output_schema: z.toJSONSchema(output),
      streams,
      timeout_seconds: timeoutMs / 1_000,
      longest_timeout_seconds: longestMs / 1_000,
      examples: examples.map(({ model, input: from, options = {} }) => ({ model, input: from, options })),
    };
  }
}
