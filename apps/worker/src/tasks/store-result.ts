/** Stores what a task's result refers to: its media, and an output that is too large for the row. */
import { findKind, type KindId } from '#catalogue';
import type { ClaimedTask, Metering, TaskResult } from '#database';
import { ProviderFailure, type Failure, type Prices } from '#domain';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import { toWireError } from '../inference/infer-failures.ts';
import { storeMedia } from '../inference/store-media.ts';
import { UsageMeter } from '../inference/usage-meter.ts';
import type { InferredTask } from './infer-task.ts';

export interface StoreResultDeps {
  readonly objects: ObjectStorage;
  readonly prices: Prices;
}

/** The objects are durable before the task refers to them. The attempt in their keys separates rival attempts. */
export async function storeResult(
  task: ClaimedTask,
  inferred: InferredTask,
  { objects, prices }: StoreResultDeps,
): Promise<TaskResult> {
  const { outcome, providerMs, model, provider } = inferred;
  const common = { model, provider, metering: toMetering(inferred, prices), providerMs };
  if ('failure' in outcome) {
    const { failure } = outcome;
    return {
      ...common,
      status: 'failed',
      error: { ...toWireError(failure), status: failure.status, ...toRetryAfter(failure) },
      output: null,
      outputKey: null,
      media: null,
      inputTokens: null,
      outputTokens: null,
      storeMs: 0,
    };
  }
  const { json, usage, media } = outcome.answer;
  const startedAt = performance.now();
  const storedMedia = await storeMedia(task, media ?? [], objects);
  const isInline = json.length <= findKind(task.kind as KindId).result.maxInlineBytes;
  const outputKey = isInline ? null : `${task.workspaceId}/tasks/${task.taskId}/${task.attempt}.output.json`;
  if (outputKey !== null) await objects.put(outputKey, Buffer.from(json));
  return {
    ...common,
    status: 'succeeded',
    error: null,
    output: isInline ? json : null,
    outputKey,
    media: storedMedia,
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    storeMs: performance.now() - startedAt,
  };
}

/** Whole seconds, as in the header `Retry-After`. */
const toRetryAfter = (failure: Failure) =>
  failure instanceof ProviderFailure && failure.retryAfterMs !== null
    ? { retry_after: Math.ceil(failure.retryAfterMs / 1_000) }
    : {};

/** Deletes the objects of a superseded attempt. Garbage collection deletes what this misses. */
export async function deleteResult(
  { outputKey, media }: TaskResult,
  objects: ObjectStorage,
  log: Logger,
): Promise<void> {
  log.info('the task was cancelled or claimed by another attempt, so its result is deleted');
  const keys = [...(outputKey ? [outputKey] : []), ...(media ?? []).map(({ key }) => key)];
  if (keys.length > 0) await objects.delete(keys).catch(() => undefined);
}

function toMetering(
  { outcome, model, credentialFingerprint, firstTokenMs, inputBytes }: InferredTask,
  prices: Prices,
): Metering {
  const meter = new UsageMeter();
  const answer = 'answer' in outcome ? outcome.answer : null;
  if (answer) meter.add(answer.usage);
  const jsonBytes = Buffer.byteLength(answer?.json ?? '');
  const mediaBytes = (answer?.media ?? []).reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  return {
    ...meter.toMetering(model, prices),
    token: credentialFingerprint,
    inputBytes,
    outputBytes: jsonBytes + mediaBytes,
    firstTokenMs: firstTokenMs && Math.round(firstTokenMs),
  };
}
