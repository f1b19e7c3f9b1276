/** `/v1/objects/…`: what signed URLs of the disk store point at. The signature is the only credential. */
import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AppConfig } from '#config';
import { NotFound } from '#domain';
import { verifySignedUrl, type ObjectStore } from '#storage';
import { Public } from '../access/api-key.guard.ts';
import { sendContent } from '../files/send-content.ts';
import { CONFIG, OBJECT_STORE } from '../tokens.ts';

@Public()
@Controller('v1/objects')
export class ObjectsController {
  constructor(
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
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
    const found = await this.store.head(grant.key);
    if (!found) throw new NotFound('This object is gone.');
    await sendContent(request, reply, {
      bytes: found.bytes,
      contentType: grant.contentType ?? found.contentType,
      filename: grant.filename,
      open: async (range, signal) => (await this.store.get(grant.key, { ...range, signal })).stream,
    });
  }
}
