/** `POST /v1/batches/{id}/retry`: the failed lines of a batch that is over, as a batch of their own. */
import { Body, Controller, Headers, HttpCode, Inject, Param, Post } from '@nestjs/common';
import type { AppConfig } from '#config';
import { retryBatchBody, type BatchObject, type RetryBatchBody } from '@millrace/contracts';
import { BatchStore, FileStore, type Caller } from '#database';
import type { Queues } from '#queues';
import type { ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import { CurrentCaller } from '../access/access.guard.ts';
import { CONFIG, LOGGER, OBJECTS, QUEUES, WEBHOOK_TOOLS } from '../infrastructure/tokens.ts';
import type { WebhookTools } from '../webhooks/manage-webhook-endpoints.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { toBatchObject } from './batch-object.ts';
import { retryBatch } from './retry-batch.ts';

@Controller('v1/batches/:id/retry')
export class RetryBatchController {
  constructor(
    @Inject(BatchStore) private readonly batches: BatchStore,
    @Inject(FileStore) private readonly files: FileStore,
    @Inject(OBJECTS) private readonly objects: ObjectStore,
    @Inject(QUEUES) private readonly queues: Queues,
    @Inject(CONFIG) private readonly config: AppConfig,
    @Inject(WEBHOOK_TOOLS) private readonly webhooks: WebhookTools,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  @Post()
  @HttpCode(200)
  async retry(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('batch')) id: string,
    @Body({ schema: retryBatchBody }) body: RetryBatchBody,
    @Headers('idempotency-key') key?: string,
  ): Promise<BatchObject> {
    const { batches, files, objects, queues, webhooks, log } = this;
    const { WORKSPACE_MAX_PENDING_LINES: maxPendingLines } = this.config;
    const on = { batches, files, objects, queues, webhooks, log, maxPendingLines };
    return toBatchObject(await retryBatch(caller, id, body, key, on));
  }
}
