/** A batch's way in: checked, written in one transaction with its idempotency key, then put in the queue. */
import { channel } from 'node:diagnostics_channel';
import { createHash } from 'node:crypto';
import { idSchema, newId, type CreateBatchBody } from '@millrace/contracts';
import type { BatchStore, BatchWithErrors, Idempotency, NewBatch, NewFile } from '#database';
import { InvalidInput, NotFound, Unavailable } from '#domain';
import type { Queues } from '#queues';
import type { ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import { buildSubjectWebhook, type WebhookTools } from '../webhooks/manage-webhook-endpoints.ts';
import type { CreatedBatch } from './batch-object.ts';
import { storeLines } from '../files/store-lines.ts';
import { findBatchKind } from './find-batch-kind.ts';
import { validateInput, type ValidateInputDeps } from './validate-input.ts';

/** Published between the commit and the queue, for tests that end the process right there. */
const committed = channel('millrace:batch.committed');

export interface CreateBatchDeps {
  readonly batches: BatchStore;
  readonly objects: ObjectStore;
  readonly queues: Queues;
  /** Lines that a workspace may have waiting. */
  readonly maxPendingLines: number;
  readonly webhooks: WebhookTools;
  readonly log: Logger;
}

export interface BatchRequestOptions {
  readonly idempotencyKey: string | undefined;
  readonly isStrict: boolean;
  /** Whose use it is. */
  readonly apiKeyId: string;
}

/** @throws InvalidInput, NotFound, Conflict, OverLimit; once the batch is committed nothing is thrown any more. */
export async function createBatch(
  workspaceId: string,
  body: CreateBatchBody,
  { idempotencyKey, isStrict, apiKeyId }: BatchRequestOptions,
  options: CreateBatchDeps & ValidateInputDeps,
): Promise<CreatedBatch> {
  const key = parseIdempotencyKey(idempotencyKey, body);
  const { requests, webhook, ...rest } = body;
  const earlier =
    key &&
    (requests || webhook || isStrict) &&
    (await options.batches.findByIdempotencyKey(workspaceId, key));
  if (earlier) return earlier;
  const fileId = requests ? undefined : parseFileId(body.input_file_id);
  const kind = await findBatchKind(workspaceId, body, fileId, options);
  const id = newId('batch');
  const bound = webhook && (await buildSubjectWebhook(id, webhook, options.webhooks));
  const inputFile = requests && (await storeInlineRequests(workspaceId, body, options));
  const input_file_id = inputFile?.id ?? fileId!;
  if (isStrict) {
    const input = inputFile ?? input_file_id;
    await validateInput(workspaceId, input, body.endpoint, kind, options).catch(async (error: unknown) => {
      await deleteInput(inputFile, options.objects);
      throw error;
    });
  }
  const made = { ...(inputFile && { inputFile }), ...(bound && { boundWebhook: bound.endpoint }) };
  const batch = { ...rest, id, kind, input_file_id, apiKeyId, ...made };
  const created = await submitBatch(workspaceId, batch, key, options);
  const isNew = created.batch.id === id;
  return { ...created, ...(isNew && bound?.secret && { webhookSecret: bound.secret }) };
}

/** Writes a batch and puts its plan in the queue. Input made for it is dropped where it is not this one that is made. */
export async function submitBatch(
  workspaceId: string,
  batch: NewBatch,
  idempotency: Idempotency | null,
  { batches, objects, queues, maxPendingLines, log }: CreateBatchDeps,
): Promise<BatchWithErrors> {
  let created;
  try {
    created = await batches.create(workspaceId, batch, idempotency, maxPendingLines);
  } catch (error) {
    // Where Postgres went away while it was asked, the rows may be there: their object must be too.
    if (!(error instanceof Unavailable)) await deleteInput(batch.inputFile, objects);
    throw error;
  }
  if (created.batch.id !== batch.id) {
    await deleteInput(batch.inputFile, objects);
    return created; // The same key made it before.
  }
  committed.publish({ batchId: batch.id });
  const payload = { batchId: batch.id, generation: created.batch.planGeneration };
  await queues.add('plan', null, [{ payload }]).catch((error: unknown) => {
    log.warn(
      { err: error, batchId: batch.id },
      'the queue did not take a new batch; the sweep will deliver it',
    );
  });
  return created;
}

/** Nothing refers to these objects: garbage, if they stay. */
async function deleteInput(file: NewFile | undefined, objects: ObjectStore): Promise<void> {
  await objects.delete((file?.segments ?? []).map(({ key }) => key)).catch(() => undefined);
}

/** An id that was never ours is not found, without asking the database. */
function parseFileId(id: string | undefined): string {
  if (id !== undefined && idSchema('file').safeParse(id).success) return id;
  throw new NotFound('No such file. Upload it with purpose=batch first.', {
    code: 'file_not_found',
    param: 'input_file_id',
  });
}

/** Lines that came with the request, as the file that they would have come in. */
function storeInlineRequests(
  workspaceId: string,
  { requests = [], endpoint }: CreateBatchBody,
  deps: ValidateInputDeps,
): Promise<NewFile> {
  const lines = requests.map(
    ({ custom_id, method, url = endpoint, body }) => `${JSON.stringify({ custom_id, method, url, body })}\n`,
  );
  return storeLines(workspaceId, 'requests.jsonl', toBytes(lines), deps);
}

async function* toBytes(lines: readonly string[]): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < lines.length; at += 1_000) yield Buffer.from(lines.slice(at, at + 1_000).join(''));
}

/** @param route where the key is not one for creating a batch. @throws InvalidInput */
export function parseIdempotencyKey(
  key: string | undefined,
  body: unknown,
  route?: string,
): Idempotency | null {
  if (key === undefined) return null;
  if (key.length < 1 || key.length > 255) {
    throw new InvalidInput('An Idempotency-Key has 1 to 255 characters.', { param: 'Idempotency-Key' });
  }
  const canonical = JSON.stringify(body, (_, value: unknown) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return { key, requestHash: createHash('sha256').update(canonical).digest(), ...(route && { route }) };
}
