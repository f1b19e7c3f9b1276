/** `/v1/objects/…`: what signed URLs of the disk store point at. The signature is the only credential. */
import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AppConfig } from '#config';
import { NotFound } from '#domain';
import { verifySignedUrl, type ObjectStore } from '#storage';
import { Public } from '../access/access.guard.ts';
import { sendContent } from '../http/send-content.ts';
import { CONFIG, OBJECTS } from '../infrastructure/tokens.ts';

@Public()
@Controller('v1/objects')
export class ObjectsController {
  constructor(
    @Inject(OBJECTS) private readonly objects: ObjectStore,
    @Inject(CONFIG) private readonly config: AppConfig,
  ) {}

  @Get('*')
  async get(
    @Param('*') key: string,
    @Query() query: Record<string, unknown>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const grant = verifySignedUrl(
      { secret: this.config.MILLRACE_SECRET },
      { method: request.method, key, query },
    );
    const found = await this.objects.head(grant.key);
    if (!found) throw new NotFound('This object is gone.');
    await sendContent(request, reply, {
      bytes: found.bytes,
      contentType: grant.contentType ?? found.contentType,
      filename: grant.filename,
      open: async (range, signal) => (await this.objects.get(grant.key, { ...range, signal })).stream,
    });
  }
}
