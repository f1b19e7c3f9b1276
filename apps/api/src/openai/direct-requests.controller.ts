/** Serves every endpoint of OpenAI's API that is answered with the result of a task, as the endpoint table lists them. */
import { Body, Controller, Headers, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { findEndpoint, openAiEndpoints } from '#openai-endpoints';
import type { Caller } from '../access/caller.ts';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import { HANDLE_DIRECT_REQUEST, type HandleDirectRequest } from './handle-direct-request.ts';

const paths = openAiEndpoints
  .filter(({ isDirect, replies }) => isDirect && !replies.includes('resource'))
  .map(({ path }) => path);

@Controller()
export class DirectRequestsController {
  constructor(@Inject(HANDLE_DIRECT_REQUEST) private readonly handle: HandleDirectRequest) {}

  @Requires('tasks:write')
  @Post(paths)
  @HttpCode(200)
  async create(
    @CurrentCaller() caller: Caller,
    @Body() json: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Headers('idempotency-key') idempotencyKey?: string,
  ): Promise<void> {
    const endpoint = findEndpoint(request.routeOptions.url!)!;
    await this.handle({ endpoint, owner: caller, json, idempotencyKey }, request, reply);
  }
}
