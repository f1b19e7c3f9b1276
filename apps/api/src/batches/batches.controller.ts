/** `/v1/batches`, as OpenAI's clients call it. */
import { Body, Controller, Get, Headers, HttpCode, Inject, Param, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { AppConfig } from '#config';
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
import { BatchStore, ChunkStore, FileStore, type Caller } from '#database';
import type { Providers } from '#providers';
import type { Queues } from '#queues';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import { CurrentCaller } from '../access/access.guard.ts';
import { BUS, CONFIG, LOGGER, OBJECTS, PROVIDERS, QUEUES, WEBHOOK_TOOLS } from '../infrastructure/tokens.ts';
import type { WebhookTools } from '../webhooks/manage-webhook-endpoints.ts';
import { createResponseAbortSignal } from '../http/client-disconnect.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { toBatchObject } from './batch-object.ts';
import { createBatch } from './create-batch.ts';

@Controller('v1/batches')
export class BatchesController {
  constructor(
    @Inject(BatchStore) private readonly batches: BatchStore,
    @Inject(ChunkStore) private readonly chunks: ChunkStore,
    @Inject(FileStore) private readonly files: FileStore,
    @Inject(CONFIG) private readonly config: AppConfig,
    @Inject(OBJECTS) private readonly objects: ObjectStore,
    @Inject(PROVIDERS) private readonly providers: Providers,
    @Inject(QUEUES) private readonly queues: Queues,
    @Inject(BUS) private readonly bus: Bus,
    @Inject(WEBHOOK_TOOLS) private readonly webhooks: WebhookTools,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  @Post()
  @HttpCode(200)
  async create(
    @CurrentCaller() caller: Caller,
    @Body({ schema: createBatchBody }) body: CreateBatchBody,
    @Query({ schema: createBatchQuery }) { validate }: CreateBatchQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') key?: string,
  ): Promise<BatchObject> {
    const { batches, files, objects, providers, queues, webhooks, log } = this;
    const {
      LINE_MAX_BYTES: lineMaxBytes,
      BATCH_MAX_LINES: batchMaxLines,
      WORKSPACE_MAX_PENDING_LINES: maxPendingLines,
    } = this.config;
    const signal = createResponseAbortSignal(reply);
    const limits = { lineMaxBytes, batchMaxLines, maxPendingLines };
    const on = { batches, files, objects, providers, queues, webhooks, log, ...limits, signal };
    const how = { idempotencyKey: key, isStrict: validate === 'strict', apiKeyId: caller.keyId };
    return toBatchObject(await createBatch(caller.workspaceId, body, how, on));
  }

  @Get()
  async list(
    @CurrentCaller() caller: Caller,
    @Query({ schema: batchListQuery }) page: PageQuery,
  ): Promise<Page<BatchObject>> {
    const rows = await this.batches.list(caller.workspaceId, page);
    return toPage(
      rows.map((row) => toBatchObject(row)),
      page.limit,
    );
  }

  @Get(':id')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
  ): Promise<BatchObject> {
    return toBatchObject(await this.batches.get(caller.workspaceId, id));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
  ): Promise<BatchObject> {
    const cancelled = await this.batches.cancel(caller.workspaceId, id);
    void this.bus.publish('batch.closing', { batchId: id });
    void this.bus.publish('facts.written', {});
    // One without a chunk left to run ends here; the others when their last chunk has been recorded.
    if (cancelled.batch.chunksDone === cancelled.batch.chunkCount) {
      await this.chunks.finishBatch(id).catch((error: unknown) => {
        this.log.warn({ err: error, batchId: id }, 'a cancelled batch will be ended by the sweep');
      });
    }
    return toBatchObject(cancelled);
  }
}
