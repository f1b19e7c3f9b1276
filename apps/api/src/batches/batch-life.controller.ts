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
} from '#contracts';
import { BatchLifeStore, ChunkStore, ResultStore, type Caller } from '#database';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import { CallerOf } from '../access/api-key.guard.ts';
import { BUS, OBJECT_STORE } from '../tokens.ts';
import { knownId } from '../wire/known-id.pipe.ts';
import { toBatchObject } from './batch-object.ts';
import { toChunkObject } from './chunk-object.ts';
import { sendResults } from './send-results.ts';

@Controller('v1/batches/:id')
export class BatchLifeController {
  constructor(
    @Inject(BatchLifeStore) private readonly life: BatchLifeStore,
    @Inject(ResultStore) private readonly results: ResultStore,
    @Inject(ChunkStore) private readonly chunkStore: ChunkStore,
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    @Inject(BUS) private readonly bus: Bus,
  ) {}

  @Post()
  @HttpCode(200)
  async update(
    @CallerOf() caller: Caller,
    @Param('id', knownId('batch')) id: string,
    @Body({ schema: updateBatchBody }) { priority }: UpdateBatchBody,
  ): Promise<BatchObject> {
    const updated = await this.life.prioritize(caller.workspaceId, id, priority);
    if (updated.batch.chunkCount > 0) void this.bus.announce('batch.planned', { batchId: id });
    return toBatchObject(updated);
  }

  @Post('pause')
  @HttpCode(200)
  async pause(@CallerOf() caller: Caller, @Param('id', knownId('batch')) id: string): Promise<BatchObject> {
    const paused = await this.life.pause(caller.workspaceId, id);
    this.bus.signal('batch', { batchId: id });
    return toBatchObject(paused);
  }

  @Post('resume')
  @HttpCode(200)
  async resume(@CallerOf() caller: Caller, @Param('id', knownId('batch')) id: string): Promise<BatchObject> {
    const resumed = await this.life.resume(caller.workspaceId, id);
    // Wakes the dispatcher, as a plan does.
    if (resumed.batch.chunkCount > 0) void this.bus.announce('batch.planned', { batchId: id });
    this.bus.signal('batch', { batchId: id });
    return toBatchObject(resumed);
  }

  @Get('chunks')
  async chunks(
    @CallerOf() caller: Caller,
    @Param('id', knownId('batch')) id: string,
    @Query({ schema: chunkListQuery }) page: ChunkListQuery,
  ): Promise<Page<ChunkObject>> {
    const rows = await this.life.chunks(caller.workspaceId, id, page);
    return toPage(rows.map(toChunkObject), page.limit);
  }

  @Get('results')
  async soFar(
    @CallerOf() caller: Caller,
    @Param('id', knownId('batch')) id: string,
    @Query({ schema: resultsQuery }) { after }: ResultsQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { results, chunkStore: chunks, store } = this;
    await sendResults(request, reply, {
      workspaceId: caller.workspaceId,
      batchId: id,
      after,
      results,
      chunks,
      store,
    });
  }
}
