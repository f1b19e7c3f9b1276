/** `/v1/objects/…`: what signed URLs of the disk storage point at. */
import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Public } from '../access/decorators.ts';
import { sendContent } from '../http/send-content.ts';
import { READ_SIGNED_OBJECT, type ReadSignedObject } from './read-signed-object.ts';

@Controller('v1/objects')
export class ObjectsController {
  constructor(@Inject(READ_SIGNED_OBJECT) private readonly readObject: ReadSignedObject) {}

  @Get('*')
  @Public()
  async get(
    @Param('*') key: string,
    @Query() query: Record<string, unknown>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const content = await this.readObject({ method: request.method, key, query });
    await sendContent(request, reply, content);
  }
}
