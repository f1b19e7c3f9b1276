/** `/v1/batches/{id}/…`: what Millrace adds to OpenAI's batches: priority, pause, resume, chunks, results, retry. */
import { Readable } from 'node:stream';
import {
  Body,
  Controller,
  Get,
  Headers,
  HttpCode,
  Inject,
  Param,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import {
  chunkListQuery,
  resultsQuery,
  retryBatchBody,
  toPage,
  updateBatchBody,
  type BatchObject,
  type ChunkListQuery,
  type ChunkObject,
  type Page,
  type ResultsQuery,
  type RetryBatchBody,
  type UpdateBatchBody,
} from '@millrace/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BatchControlStore } from '#database';
import type { Caller } from '../access/caller.ts';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import { createResponseAbortSignal } from '../http/client-disconnect.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { toBatchObject } from './batch-object.ts';
import { toChunkObject } from './chunk-object.ts';
import { CONTROL_BATCH, type ControlBatch } from './control-batch.ts';
import { READ_RESULTS, type ReadResults } from './read-results.ts';
import { RETRY_BATCH, type RetryBatch } from './retry-batch.ts';

@Controller('v1/batches/:id')
export class BatchLifecycleController {
  constructor(
    @Inject(CONTROL_BATCH) private readonly control: ControlBatch,
    @Inject(RETRY_BATCH) private readonly retryBatch: RetryBatch,
    @Inject(READ_RESULTS) private readonly readResults: ReadResults,
    @Inject(BatchControlStore) private readonly batches: BatchControlStore,
  ) {}

  @Requires('batches:write')
  @Post()
  @HttpCode(200)
  async update(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Body({ schema: updateBatchBody }) { priority }: UpdateBatchBody,
  ): Promise<BatchObject> {
    return toBatchObject(await this.control.setPriority(workspaceId, id, priority));
  }

  @Requires('batches:write')
  @Post('pause')
  @HttpCode(200)
  async pause(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('batch')) id: string,
  ): Promise<BatchObject> {
    return toBatchObject(await this.control.pause(workspaceId, id));
  }

  @Requires('batches:write')
  @Post('resume')
  @HttpCode(200)
  async resume(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('batch')) id: string,
  ): Promise<BatchObject> {
    return toBatchObject(await this.control.resume(workspaceId, id));
  }

  @Requires('batches:write')
  @Post('retry')
  @HttpCode(200)
  async retry(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Body({ schema: retryBatchBody }) body: RetryBatchBody,
    @Headers('idempotency-key') idempotencyKey?: string,
  ): Promise<BatchObject> {
    return toBatchObject(await this.retryBatch(caller, id, body, idempotencyKey));
  }

  @Requires('batches:read')
  @Get('chunks')
  async listChunks(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Query({ schema: chunkListQuery }) query: ChunkListQuery,
  ): Promise<Page<ChunkObject>> {
    const rows = await this.batches.listChunks(workspaceId, id, query);
    return toPage(rows.map(toChunkObject), query.limit);
  }

  /** NDJSON, also while the batch runs. `x-next-after` says how to continue. */
  @Requires('batches:read')
  @Get('results')
  async getResults(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Query({ schema: resultsQuery }) { after }: ResultsQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const results = await this.readResults(workspaceId, id, after);
    void reply
      .status(200)
      .header('content-type', 'application/x-ndjson')
      .header('cache-control', 'private, no-store')
      .header('x-content-type-options', 'nosniff')
      .header('x-next-after', results.nextAfter);
    if (results.isIncomplete) void reply.header('x-incomplete', 'true');
    const isHead = request.method === 'HEAD';
    const lines = isHead ? null : results.lines(createResponseAbortSignal(reply));
    await reply.send(Readable.from(lines ?? [], { objectMode: false }));
  }
}
