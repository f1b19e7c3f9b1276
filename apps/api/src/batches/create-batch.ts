/** Creates a batch: finds its kind, stores inline requests as a file, validates on request, then submits it. */
import { idSchema, createId, type CreateBatchBody } from '@millrace/contracts';
import type { FileStore, NewFile } from '#database';
import { NotFound } from '#domain';
import type { Providers } from '#providers';
import { storeLines } from '../files/store-lines.ts';
import type { Caller } from '../access/caller.ts';
import { parseIdempotencyKey } from '../http/idempotency.ts';
import { buildSubjectWebhook } from '../webhooks/subject-webhook.ts';
import type { WebhookTools } from '../webhooks/webhook-tools.ts';
import type { CreatedBatch } from './batch-object.ts';
import type { BatchLimits } from './batch-limits.ts';
import { findBatchKind } from './find-batch-kind.ts';
import { deleteInput, submitBatch, type SubmitBatchDeps } from './submit-batch.ts';
import { validateInput } from './validate-input.ts';

export interface CreateBatchOptions {
  readonly idempotencyKey: string | undefined;
  /** Validates every line before the batch is created. */
  readonly isStrict: boolean;
  /** Aborts the reading and writing of the input when the client disconnects. */
  readonly signal: AbortSignal;
}

/** @throws InvalidInput, NotFound, Conflict, OverLimit before the batch is committed, and nothing after. */
export type CreateBatch = (
  caller: Pick<Caller, 'workspaceId' | 'keyId'>,
  body: CreateBatchBody,
  options: CreateBatchOptions,
) => Promise<CreatedBatch>;
export const CREATE_BATCH = Symbol('create batch');

export interface CreateBatchDeps extends SubmitBatchDeps {
  readonly files: FileStore;
  readonly providers: Providers;
  readonly webhookTools: WebhookTools;
  readonly limits: BatchLimits;
}

export function createBatchWith(deps: CreateBatchDeps): CreateBatch {
  return async ({ workspaceId, keyId }, body, { idempotencyKey, isStrict, signal }) => {
    const idempotency = parseIdempotencyKey(idempotencyKey, body);
    const { requests, webhook, ...rest } = body;
    if (idempotency && (requests || webhook || isStrict)) {
      // Saves the work below for a request that is sent again. The transaction checks the key in any case.
      const existing = await deps.batches.findByIdempotencyKey(workspaceId, idempotency);
      if (existing) return existing;
    }
    const fileId = requests ? undefined : parseFileId(body.input_file_id);
    const { lineMaxBytes, batchMaxLines } = deps.limits;
    const kind = await findBatchKind(workspaceId, body, fileId, { ...deps, lineMaxBytes });
    const id = createId('batch');
    const created = webhook && (await buildSubjectWebhook(id, webhook, deps.webhookTools));
    const inputFile = requests && (await storeInlineRequests(workspaceId, body, deps, signal));
    const input = inputFile ?? fileId!;
    if (isStrict) {
      const validation = { ...deps, lineMaxBytes, batchMaxLines, signal };
      await validateInput(workspaceId, input, body.endpoint, kind, validation).catch(
        async (error: unknown) => {
          await deleteInput(inputFile, deps.objects);
          throw error;
        },
      );
    }
    const batch = {
      ...rest,
      id,
      kind,
      input_file_id: inputFile?.id ?? fileId!,
      apiKeyId: keyId,
      ...(inputFile && { inputFile }),
      ...(created && { webhookEndpoint: created.endpoint }),
    };
    return submitBatch(workspaceId, batch, { idempotency, webhookSecret: created?.secret }, deps);
  };
}

/** An id of another form cannot exist: the database is not asked. */
function parseFileId(id: string | undefined): string {
  if (id !== undefined && idSchema('file').safeParse(id).success) return id;
  throw new NotFound('No such file. Upload it with purpose=batch first.', {
    code: 'file_not_found',
    param: 'input_file_id',
  });
}

/** Stores the lines of the request as an input file of the same form as an uploaded one. */
function storeInlineRequests(
  workspaceId: string,
  { requests = [], endpoint }: CreateBatchBody,
  { objects }: CreateBatchDeps,
  signal: AbortSignal,
): Promise<NewFile> {
  const lines = requests.map(
    ({ custom_id, method, url = endpoint, body }) => `${JSON.stringify({ custom_id, method, url, body })}\n`,
  );
  return storeLines(workspaceId, 'requests.jsonl', toBytes(lines), { objects, signal });
}

const linesPerBuffer = 1_000;

async function* toBytes(lines: readonly string[]): AsyncGenerator<Uint8Array> {
  for (let first = 0; first < lines.length; first += linesPerBuffer) {
    yield Buffer.from(lines.slice(first, first + linesPerBuffer).join(''));
  }
}
