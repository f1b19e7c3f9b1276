/** `GET /v1/kinds`: every kind of task, with its schemas and examples that run as they are. */
import { Controller, Get } from '@nestjs/common';
import type { KindList } from '@millrace/contracts';
import { kindIds } from '#catalogue';
import { Requires } from '../access/decorators.ts';
import { toKindObject } from './kind-object.ts';

@Controller('v1/kinds')
export class KindsController {
  private readonly list: KindList = { object: 'list', data: kindIds.map(toKindObject) };

  @Get()
  @Requires('kinds:read')
  getKinds(): KindList {
    return this.list;
  }
}
