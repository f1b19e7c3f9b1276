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
} from '#contracts';
import { BatchStore, ChunkStore, FileStore, type Caller } from '#database';
import type { Providers } from '#providers';
import type { Queues } from '#queues';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import { CallerOf } from '../access/api-key.guard.ts';
import { BUS, CONFIG, LOGGER, OBJECT_STORE, PROVIDERS, QUEUES, WEBHOOKS } from '../tokens.ts';
import type { Webhooks } from '../webhooks/manage-endpoints.ts';
import { leftDuring } from '../wire/aborted.ts';
import { knownId } from '../wire/known-id.pipe.ts';
import { toBatchObject } from './batch-object.ts';
import { createBatch } from './create-batch.ts';

@Controller('v1/batches')
export class BatchesController {
  constructor(
    @Inject(BatchStore) private readonly batches: BatchStore,
    @Inject(ChunkStore) private readonly chunks: ChunkStore,
    @Inject(FileStore) private readonly files: FileStore,
    @Inject(CONFIG) private readonly config: AppConfig,
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    @Inject(PROVIDERS) private readonly providers: Providers,
    @Inject(QUEUES) private readonly queues: Queues,
    @Inject(BUS) private readonly bus: Bus,
    @Inject(WEBHOOKS) private readonly webhooks: Webhooks,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  @Post()
  @HttpCode(200)
  async create(
    @CallerOf() caller: Caller,
    @Body({ schema: createBatchBody }) body: CreateBatchBody,
    @Query({ schema: createBatchQuery }) { validate }: CreateBatchQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') key?: string,
  ): Promise<BatchObject> {
    const { batches, files, store, providers, queues, webhooks, log } = this;
    const {
      LINE_MAX_BYTES: lineMaxBytes,
      BATCH_MAX_LINES: batchMaxLines,
      WORKSPACE_MAX_PENDING_LINES: maxPendingLines,
    } = this.config;
    const signal = leftDuring(reply);
    const limits = { lineMaxBytes, batchMaxLines, maxPendingLines };
    const on = { batches, files, store, providers, queues, webhooks, log, ...limits, signal };
    const how = { idempotencyKey: key, isStrict: validate === 'strict', apiKeyId: caller.keyId };
    return toBatchObject(await createBatch(caller.workspaceId, body, how, on));
  }

  @Get()
  async list(
    @CallerOf() caller: Caller,
    @Query({ schema: batchListQuery }) page: PageQuery,
  ): Promise<Page<BatchObject>> {
    const rows = await this.batches.list(caller.workspaceId, page);
    return toPage(
      rows.map((row) => toBatchObject(row)),
      page.limit,
    );
  }

  @Get(':id')
  async get(@CallerOf() caller: Caller, @Param('id', knownId('batch')) id: string): Promise<BatchObject> {
    return toBatchObject(await this.batches.get(caller.workspaceId, id));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(@CallerOf() caller: Caller, @Param('id', knownId('batch')) id: string): Promise<BatchObject> {
    const cancelled = await this.batches.cancel(caller.workspaceId, id);
    void this.bus.announce('batch.closing', { batchId: id });
    void this.bus.announce('facts.written', {});
    // One without a chunk left to run ends here; the others when their last chunk has been recorded.
    if (cancelled.batch.chunksDone === cancelled.batch.chunkCount) {
      await this.chunks.finishBatch(id).catch((error: unknown) => {
        this.log.warn({ err: error, batchId: id }, 'a cancelled batch will be ended by the sweep');
      });
    }
    return toBatchObject(cancelled);
  }
}
