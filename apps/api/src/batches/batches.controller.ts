/** `/v1/batches` as OpenAI's clients call it: create, list, get, cancel. */
import { Body, Controller, Get, Headers, HttpCode, Inject, Param, Post, Query, Res } from '@nestjs/common';
import {
  batchListQuery,
  createBatchBody,
  createBatchQuery,
  toPage,
  type BatchObject,
  type CreateBatchBody,
  type CreateBatchQuery,
  type Page,
  type PageQuery,
} from '@millrace/contracts';
import type { FastifyReply } from 'fastify';
import { BatchStore } from '#database';
import type { Caller } from '../access/caller.ts';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import { createResponseAbortSignal } from '../http/client-disconnect.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { toBatchObject } from './batch-object.ts';
import { CANCEL_BATCH, type CancelBatch } from './cancel-batch.ts';
import { CREATE_BATCH, type CreateBatch } from './create-batch.ts';

@Controller('v1/batches')
export class BatchesController {
  constructor(
    @Inject(BatchStore) private readonly batches: BatchStore,
    @Inject(CREATE_BATCH) private readonly createBatch: CreateBatch,
    @Inject(CANCEL_BATCH) private readonly cancelBatch: CancelBatch,
  ) {}

  @Requires('batches:write')
  @Post()
  @HttpCode(200)
  async create(
    @CurrentCaller() caller: Caller,
    @Body({ schema: createBatchBody }) body: CreateBatchBody,
    @Query({ schema: createBatchQuery }) { validate }: CreateBatchQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') idempotencyKey?: string,
  ): Promise<BatchObject> {
    const signal = createResponseAbortSignal(reply);
    const options = { idempotencyKey, isStrict: validate === 'strict', signal };
    return toBatchObject(await this.createBatch(caller, body, options));
  }

  @Requires('batches:read')
  @Get()
  async list(
    @CurrentCaller() { workspaceId }: Caller,
    @Query({ schema: batchListQuery }) query: PageQuery,
  ): Promise<Page<BatchObject>> {
    const rows = await this.batches.list(workspaceId, query);
    return toPage(
      rows.map((row) => toBatchObject(row)),
      query.limit,
    );
  }

  @Requires('batches:read')
  @Get(':id')
  async get(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('batch')) id: string,
  ): Promise<BatchObject> {
    return toBatchObject(await this.batches.get(workspaceId, id));
  }

  @Requires('batches:write')
  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('batch')) id: string,
  ): Promise<BatchObject> {
    return toBatchObject(await this.cancelBatch(workspaceId, id));
  }
}
