/**
 * A new batch of the lines that another one's error file names. How many they are is known at once; they are read
 * by the batch's plan, in a worker: a million of them take longer than a request should.
 */
import { newId, type BatchStatus, type RetryBatchBody } from '@millrace/contracts';
import type { BatchRow, Caller, FileStore, NewEndpoint, WebhookEndpointRow } from '#database';
import { Conflict, NotFound } from '#domain';
import { batchFileExpiresInS } from '../files/store-lines.ts';
import { buildSubjectWebhook, copySubjectWebhook } from '../webhooks/manage-webhook-endpoints.ts';
import type { CreatedBatch } from './batch-object.ts';
import { parseIdempotencyKey, submitBatch, type CreateBatchDeps } from './create-batch.ts';

export interface RetryBatchDeps extends CreateBatchDeps {
  readonly files: FileStore;
}

const retryableStatuses: readonly BatchStatus[] = ['completed', 'expired', 'cancelled'];

/** @throws NotFound; Conflict where there is nothing to retry, or not yet. */
export async function retryBatch(
  { workspaceId, keyId }: Pick<Caller, 'workspaceId' | 'keyId'>,
  id: string,
  body: RetryBatchBody,
  idempotencyKey: string | undefined,
  deps: RetryBatchDeps,
): Promise<CreatedBatch> {
  const { batch: source, webhook: before } = await deps.batches.get(workspaceId, id);
  const key = parseIdempotencyKey(idempotencyKey, { id, ...body }, 'POST /v1/batches/{id}/retry');
  const earlier = key && (await deps.batches.findByIdempotencyKey(workspaceId, key));
  if (earlier) return earlier;
  assertRetryable(source);
  const newBatchId = newId('batch');
  const bound = await buildRetryWebhook(newBatchId, body, before, deps);
  await assertFilesExist(source, deps.files);
  const inputFile = {
    id: newId('file'),
    purpose: 'batch' as const,
    filename: `${id}_retry.jsonl`,
    segments: [],
    expiresInS: batchFileExpiresInS,
    linesToCome: source.failed + source.canceled + source.expired,
  };
  const batch = {
    id: newBatchId,
    apiKeyId: keyId,
    kind: source.kind,
    input_file_id: inputFile.id,
    inputFile,
    endpoint: source.endpoint,
    completion_window: source.completionWindow,
    metadata: source.metadata,
    output_format: source.outputFormat,
    priority: source.priority,
    retryOf: id,
    ...(source.outputExpiresAfterS !== null && {
      output_expires_after: { anchor: 'created_at', seconds: source.outputExpiresAfterS },
    }),
    ...(bound && { boundWebhook: bound.endpoint }),
  };
  const created = await submitBatch(workspaceId, batch, key, deps);
  const isNew = created.batch.id === newBatchId;
  return { ...created, ...(isNew && bound?.secret && { webhookSecret: bound.secret }) };
}

/** Its own; or the one of the batch that it retries, unless it asks for none. */
async function buildRetryWebhook(
  id: string,
  body: RetryBatchBody,
  before: WebhookEndpointRow | null,
  { webhooks }: RetryBatchDeps,
): Promise<{ endpoint: NewEndpoint; secret?: string | undefined } | null> {
  if (body?.webhook) return buildSubjectWebhook(id, body.webhook, webhooks);
  if (body?.webhook === null || !before) return null;
  return { endpoint: copySubjectWebhook(id, before, webhooks.sealer) };
}

function assertRetryable({ status, errorFileId }: BatchRow): void {
  if (!retryableStatuses.includes(status)) {
    throw new Conflict(`This batch is ${status}; its failed lines can be retried once it has run.`, {
      code: 'batch_not_retryable',
    });
  }
  if (!errorFileId) throw new Conflict('No line of this batch failed.', { code: 'nothing_to_retry' });
}

/** @throws NotFound when the input or the error file is gone. */
async function assertFilesExist(
  { workspaceId, inputFileId, errorFileId }: BatchRow,
  files: FileStore,
): Promise<void> {
  const gone = (code: string, what: string) => (error: unknown) => {
    if (!(error instanceof NotFound)) throw error;
    throw new NotFound(`The ${what} of this batch was deleted, or has expired.`, { code });
  };
  await files.get(workspaceId, errorFileId!).catch(gone('results_gone', 'error file'));
  await files.get(workspaceId, inputFileId).catch(gone('input_file_missing', 'input file'));
}
