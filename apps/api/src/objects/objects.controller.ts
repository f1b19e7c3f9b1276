/** `/v1/objects/…`: what signed URLs of the disk store point at. The signature is the only credential. */
import { Controller, Get, Inject, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { NotFound } from '#domain';
import { verifySignedUrl, type ObjectStorage } from '#storage';
import { Public } from '../access/decorators.ts';
import { sendContent } from '../http/send-content.ts';
import { OBJECTS } from '../infrastructure/tokens.ts';

/** The secret under which URLs were signed. */
export const SIGNING_SECRET = Symbol('signing secret');

@Controller('v1/objects')
export class ObjectsController {
  constructor(
    @Inject(OBJECTS) private readonly objects: ObjectStorage,
    @Inject(SIGNING_SECRET) private readonly secret: string,
  ) {}

  @Get('*')
  @Public()
  async get(
    @Param('*') key: string,
    @Query() query: Record<string, unknown>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const grant = verifySignedUrl({ secret: this.secret }, { method: request.method, key, query });
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
