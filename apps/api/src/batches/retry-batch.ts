/**
 * Retries the lines of a batch that did not succeed, as a new batch. Its number of lines is known from the counts of the
 * old one. The lines are read from the error file when a worker plans the new batch: reading a million of them would take
 * longer than a request may.
 */
import { createId, type BatchStatus, type ErrorCode, type RetryBatchBody } from '@millrace/contracts';
import type { BatchRow, FileStore, NewWebhookEndpoint, WebhookEndpointRow } from '#database';
import { Conflict, NotFound } from '#domain';
import { batchFileExpiresInS } from '../files/store-lines.ts';
import type { Caller } from '../access/caller.ts';
import { parseIdempotencyKey } from '../http/idempotency.ts';
import { buildSubjectWebhook, copySubjectWebhook } from '../webhooks/subject-webhook.ts';
import type { WebhookTools } from '../webhooks/webhook-tools.ts';
import type { CreatedBatch } from './batch-object.ts';
import { submitBatch, type SubmitBatchDeps } from './submit-batch.ts';

/** @throws NotFound; Conflict if the batch has not ended, or has no line to retry. */
export type RetryBatch = (
  caller: Pick<Caller, 'workspaceId' | 'keyId'>,
  batchId: string,
  body: RetryBatchBody,
  idempotencyKey: string | undefined,
) => Promise<CreatedBatch>;
export const RETRY_BATCH = Symbol('retry batch');

export interface RetryBatchDeps extends SubmitBatchDeps {
  readonly files: Pick<FileStore, 'get'>;
  readonly webhookTools: WebhookTools;
}

const retryableStatuses: readonly BatchStatus[] = ['completed', 'expired', 'cancelled'];

export function retryBatchWith(deps: RetryBatchDeps): RetryBatch {
  return async ({ workspaceId, keyId }, batchId, body, idempotencyKey) => {
    const { batch: source, webhook: previous } = await deps.batches.get(workspaceId, batchId);
    const request = { id: batchId, ...body };
    const idempotency = parseIdempotencyKey(idempotencyKey, request, 'POST /v1/batches/{id}/retry');
    const existing = idempotency && (await deps.batches.findByIdempotencyKey(workspaceId, idempotency));
    if (existing) return existing;
    assertRetryable(source);
    const id = createId('batch');
    const webhook = await buildWebhook(id, body, previous, deps.webhookTools);
    await assertFilesExist(source, deps.files);
    const batch = {
      ...buildRetry(id, source),
      apiKeyId: keyId,
      ...(webhook && { webhookEndpoint: webhook.endpoint }),
    };
    return submitBatch(workspaceId, batch, { idempotency, webhookSecret: webhook?.secret }, deps);
  };
}

function buildRetry(id: string, source: BatchRow) {
  const inputFile = {
    id: createId('file'),
    purpose: 'batch' as const,
    filename: `${source.id}_retry.jsonl`,
    segments: [],
    expiresInS: batchFileExpiresInS,
    expectedLines: source.failed + source.canceled + source.expired,
  };
  return {
    id,
    kind: source.kind,
    input_file_id: inputFile.id,
    inputFile,
    endpoint: source.endpoint,
    completion_window: source.completionWindow,
    metadata: source.metadata ?? undefined,
    output_format: source.outputFormat,
    priority: source.priority,
    retryOf: source.id,
    ...(source.outputExpiresAfterS !== null && {
      output_expires_after: { anchor: 'created_at', seconds: source.outputExpiresAfterS },
    }),
  };
}

/** The webhook of the request; without one, that of the retried batch, unless the request has `webhook: null`. */
async function buildWebhook(
  id: string,
  body: RetryBatchBody,
  previous: WebhookEndpointRow | null,
  webhookTools: WebhookTools,
): Promise<{ endpoint: NewWebhookEndpoint; secret?: string | undefined } | null> {
  if (body?.webhook) return buildSubjectWebhook(id, body.webhook, webhookTools);
  if (body?.webhook === null || !previous) return null;
  return { endpoint: copySubjectWebhook(id, previous, webhookTools.sealer) };
}

function assertRetryable({ status, errorFileId }: BatchRow): void {
  if (!retryableStatuses.includes(status)) {
    throw new Conflict(`This batch is ${status}. Only a batch that has run can be retried.`, {
      code: 'batch_not_retryable',
    });
  }
  if (!errorFileId) throw new Conflict('No line of this batch failed.', { code: 'nothing_to_retry' });
}

/** @throws NotFound if the input or the error file was deleted or has expired. */
async function assertFilesExist(
  { workspaceId, inputFileId, errorFileId }: BatchRow,
  files: Pick<FileStore, 'get'>,
): Promise<void> {
  const throwMissing = (code: ErrorCode, file: string) => (error: unknown) => {
    if (!(error instanceof NotFound)) throw error;
    throw new NotFound(`The ${file} of this batch was deleted or has expired.`, { code });
  };
  await files.get(workspaceId, errorFileId!).catch(throwMissing('results_gone', 'error file'));
  await files.get(workspaceId, inputFileId).catch(throwMissing('input_file_missing', 'input file'));
}
