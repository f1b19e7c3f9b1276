/** `/v1/batches/{id}/…`: what Millrace adds to OpenAI's batches, from the first chunk to after the end. */
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  chunkListQuery,
  resultsQuery,
  toPage,
  updateBatchBody,
  type BatchObject,
  type ChunkListQuery,
  type ChunkObject,
  type Page,
  type ResultsQuery,
  type UpdateBatchBody,
} from '@millrace/contracts';
import { BatchLifeStore, ChunkStore, ResultStore, type Caller } from '#database';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import { CurrentCaller } from '../access/access.guard.ts';
import { BUS, OBJECTS } from '../infrastructure/tokens.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { toBatchObject } from './batch-object.ts';
import { toChunkObject } from './chunk-object.ts';
import { sendResults } from './send-results.ts';

@Controller('v1/batches/:id')
export class BatchLifecycleController {
  constructor(
    @Inject(BatchLifeStore) private readonly life: BatchLifeStore,
    @Inject(ResultStore) private readonly results: ResultStore,
    @Inject(ChunkStore) private readonly chunkStore: ChunkStore,
    @Inject(OBJECTS) private readonly objects: ObjectStore,
    @Inject(BUS) private readonly bus: Bus,
  ) {}

  @Post()
  @HttpCode(200)
  async update(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Body({ schema: updateBatchBody }) { priority }: UpdateBatchBody,
  ): Promise<BatchObject> {
    const updated = await this.life.setPriority(caller.workspaceId, id, priority);
    if (updated.batch.chunkCount > 0) void this.bus.publish('batch.planned', { batchId: id });
    return toBatchObject(updated);
  }

  @Post('pause')
  @HttpCode(200)
  async pause(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
  ): Promise<BatchObject> {
    const paused = await this.life.pause(caller.workspaceId, id);
    this.bus.publishUpdate('batch', { batchId: id });
    return toBatchObject(paused);
  }

  @Post('resume')
  @HttpCode(200)
  async resume(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
  ): Promise<BatchObject> {
    const resumed = await this.life.resume(caller.workspaceId, id);
    // Wakes the dispatcher, as a plan does.
    if (resumed.batch.chunkCount > 0) void this.bus.publish('batch.planned', { batchId: id });
    this.bus.publishUpdate('batch', { batchId: id });
    return toBatchObject(resumed);
  }

  @Get('chunks')
  async chunks(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Query({ schema: chunkListQuery }) page: ChunkListQuery,
  ): Promise<Page<ChunkObject>> {
    const rows = await this.life.listChunks(caller.workspaceId, id, page);
    return toPage(rows.map(toChunkObject), page.limit);
  }

  @Get('results')
  async getResults(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Query({ schema: resultsQuery }) { after }: ResultsQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { results, chunkStore: chunks, objects } = this;
    await sendResults(request, reply, {
      workspaceId: caller.workspaceId,
      batchId: id,
      after,
      results,
      chunks,
      objects,
    });
  }
}
