/** A batch's way in: checked, written in one transaction with its idempotency key, then put in the queue. */
import { channel } from 'node:diagnostics_channel';
import { createHash } from 'node:crypto';
import { idSchema, newId, type CreateBatchBody } from '#contracts';
import type { BatchStore, BatchWithErrors, Idempotency, NewBatch, NewFile } from '#database';
import { InvalidInput, NotFound, Unavailable } from '#domain';
import type { Queues } from '#queues';
import type { ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import { boundEndpoint, type Webhooks } from '../webhooks/manage-endpoints.ts';
import type { CreatedBatch } from './batch-object.ts';
import { storeLines } from '../files/store-lines.ts';
import { kindOfBatch } from './kind-of-batch.ts';
import { validateInput, type ValidateOptions } from './validate-input.ts';

/** Published between the commit and the queue, for tests that end the process right there. */
const committed = channel('millrace:batch.committed');

export interface CreateBatchOptions {
  readonly batches: BatchStore;
  readonly store: ObjectStore;
  readonly queues: Queues;
  /** Lines that a workspace may have waiting. */
  readonly maxPendingLines: number;
  readonly webhooks: Webhooks;
  readonly log: Logger;
}

export interface HowToCreate {
  readonly idempotencyKey: string | undefined;
  readonly isStrict: boolean;
  /** Whose use it is. */
  readonly apiKeyId: string;
}

/** @throws InvalidInput, NotFound, Conflict, OverLimit; once the batch is committed nothing is thrown any more. */
export async function createBatch(
  workspaceId: string,
  body: CreateBatchBody,
  { idempotencyKey, isStrict, apiKeyId }: HowToCreate,
  options: CreateBatchOptions & ValidateOptions,
): Promise<CreatedBatch> {
  const key = idempotencyOf(idempotencyKey, body);
  const { requests, webhook, ...rest } = body;
  const earlier =
    key && (requests || webhook || isStrict) && (await options.batches.madeWith(workspaceId, key));
  if (earlier) return earlier;
  const fileId = requests ? undefined : knownFile(body.input_file_id);
  const kind = await kindOfBatch(workspaceId, body, fileId, options);
  const id = newId('batch');
  const bound = webhook && (await boundEndpoint(id, webhook, options.webhooks));
  const inputFile = requests && (await storeRequests(workspaceId, body, options));
  const input_file_id = inputFile?.id ?? fileId!;
  if (isStrict) {
    const input = inputFile ?? input_file_id;
    await validateInput(workspaceId, input, body.endpoint, kind, options).catch(async (error: unknown) => {
      await dropInput(inputFile, options.store);
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
  { batches, store, queues, maxPendingLines, log }: CreateBatchOptions,
): Promise<BatchWithErrors> {
  let created;
  try {
    created = await batches.create(workspaceId, batch, idempotency, maxPendingLines);
  } catch (error) {
    // Where Postgres went away while it was asked, the rows may be there: their object must be too.
    if (!(error instanceof Unavailable)) await dropInput(batch.inputFile, store);
    throw error;
  }
  if (created.batch.id !== batch.id) {
    await dropInput(batch.inputFile, store);
    return created; // The same key made it before.
  }
  committed.publish({ batchId: batch.id });
  const payload = { batchId: batch.id, delivery: created.batch.planDelivery };
  await queues.add('plan', null, [{ payload }]).catch((error: unknown) => {
    log.warn(
      { err: error, batchId: batch.id },
      'the queue did not take a new batch; the sweep will deliver it',
    );
  });
  return created;
}

/** Nothing refers to these objects: garbage, if they stay. */
async function dropInput(file: NewFile | undefined, store: ObjectStore): Promise<void> {
  await store.delete((file?.segments ?? []).map(({ key }) => key)).catch(() => undefined);
}

/** An id that was never ours is not found, without asking the database. */
function knownFile(id: string | undefined): string {
  if (id !== undefined && idSchema('file').safeParse(id).success) return id;
  throw new NotFound('No such file. Upload it with purpose=batch first.', {
    code: 'file_not_found',
    param: 'input_file_id',
  });
}

/** Lines that came with the request, as the file that they would have come in. */
function storeRequests(
  workspaceId: string,
  { requests = [], endpoint }: CreateBatchBody,
  on: ValidateOptions,
): Promise<NewFile> {
  const lines = requests.map(
    ({ custom_id, method, url = endpoint, body }) => `${JSON.stringify({ custom_id, method, url, body })}\n`,
  );
  return storeLines(workspaceId, 'requests.jsonl', bytesOf(lines), on);
}

async function* bytesOf(lines: readonly string[]): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < lines.length; at += 1_000) yield Buffer.from(lines.slice(at, at + 1_000).join(''));
}

/** @param route where the key is not one for creating a batch. @throws InvalidInput */
export function idempotencyOf(key: string | undefined, body: unknown, route?: string): Idempotency | null {
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
