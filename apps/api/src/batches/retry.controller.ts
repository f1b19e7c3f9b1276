/** `POST /v1/batches/{id}/retry`: the failed lines of a batch that is over, as a batch of their own. */
import { Body, Controller, Headers, HttpCode, Inject, Param, Post } from '@nestjs/common';
import type { AppConfig } from '#config';
import { retryBatchBody, type BatchObject, type RetryBatchBody } from '#contracts';
import { BatchStore, FileStore, type Caller } from '#database';
import type { Queues } from '#queues';
import type { ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import { CallerOf } from '../access/api-key.guard.ts';
import { CONFIG, LOGGER, OBJECT_STORE, QUEUES, WEBHOOKS } from '../tokens.ts';
import type { Webhooks } from '../webhooks/manage-endpoints.ts';
import { knownId } from '../wire/known-id.pipe.ts';
import { toBatchObject } from './batch-object.ts';
import { retryBatch } from './retry-batch.ts';

@Controller('v1/batches/:id/retry')
export class RetryController {
  constructor(
    @Inject(BatchStore) private readonly batches: BatchStore,
    @Inject(FileStore) private readonly files: FileStore,
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    @Inject(QUEUES) private readonly queues: Queues,
    @Inject(CONFIG) private readonly config: AppConfig,
    @Inject(WEBHOOKS) private readonly webhooks: Webhooks,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  @Post()
  @HttpCode(200)
  async retry(
    @CallerOf() caller: Caller,
    @Param('id', knownId('batch')) id: string,
    @Body({ schema: retryBatchBody }) body: RetryBatchBody,
    @Headers('idempotency-key') key?: string,
  ): Promise<BatchObject> {
    const { batches, files, store, queues, webhooks, log } = this;
    const { WORKSPACE_MAX_PENDING_LINES: maxPendingLines } = this.config;
    const on = { batches, files, store, queues, webhooks, log, maxPendingLines };
    return toBatchObject(await retryBatch(caller, id, body, key, on));
  }
}
