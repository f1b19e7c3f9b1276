/** Calls a task's model, and after its failure the fallback models that the request names. */
import { findKind, getPacking, type KindId } from '#catalogue';
import type { ClaimedTask, TaskRunStore } from '#database';
import { canFallBack, classifyFailure, parseStoredJson, ProviderFailure, type Failure } from '#domain';
import type { Providers } from '#providers';
import type { Bus } from '#realtime';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import { bindHandler } from '../inference/infer.ts';
import type { Release } from '../inference/call-limiter.ts';
import { createMediaSources, type MediaSourceDeps } from '../inference/media-sources.ts';
import type { DirectOutcome } from '../inference/micro-batcher.ts';
import type { ModelRuntimes } from '../inference/model-runtimes.ts';
import { waitUntilLoaded } from '../models/wait-until-loaded.ts';
import { maxFailedAttempts } from '../release/release-policy.ts';
import { createLiveRun } from './live-run.ts';

export interface InferTaskDeps {
  readonly tasks: Pick<TaskRunStore, 'recordProgress' | 'saveRunId'>;
  readonly runtimes: ModelRuntimes;
  readonly route: Providers['route'];
  readonly objects: ObjectStorage;
  readonly media: MediaSourceDeps;
  readonly bus: Bus;
  /** A permit for the first call of the task's own model. */
  readonly permit?: Release | null;
}

/** The outcome, with the model that was called last. */
export interface InferredTask extends DirectOutcome {
  readonly model: string;
  readonly provider: string;
  /** Of the credential that the provider was called with. null if it has none. */
  readonly credentialFingerprint: string | null;
  readonly firstTokenMs: number | null;
  /** Size of an input that is in the object storage. null when the input is in the task's row. */
  readonly inputBytes: number | null;
}

/**
 * A task fails with `worker_crashed` after this many attempts whose worker died. It is more than one, because a crash
 * also ends the requests that ran beside the one at fault.
 */
const maxLostAttempts = 5;

export async function inferTask(
  task: ClaimedTask,
  deps: InferTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<InferredTask> {
  if (task.lostAttempts >= maxLostAttempts) return buildNotRun(task.model, crashed);
  if (task.wasAnswered) return buildNotRun(task.model, notStored);
  if (task.failedAttempts >= maxFailedAttempts) return buildNotRun(task.model, failedTooOften);
  const stored = task.inputKey ? await deps.objects.read(task.inputKey, { signal }) : null;
  const inputBytes = stored && stored.length;
  const body: unknown = stored ? parseStoredJson(stored.toString()) : task.input;
  const models = [task.model, ...(task.fallbackModels ?? [])];
  let providerMs = 0;
  for (const [at, model] of models.entries()) {
    // The answer must name the model that was called.
    const modelBody = at === 0 ? body : { ...(body as object), model };
    // A fallback model can't resume the upstream run of the first model.
    const modelTask = at === 0 ? task : { ...task, upstreamRunId: null };
    const modelDeps = at === 0 ? deps : { ...deps, permit: null };
    const inferred = await inferWithModel(model, modelBody, modelTask, modelDeps, signal, log);
    const { outcome } = inferred;
    providerMs += inferred.providerMs;
    const isLast = at === models.length - 1;
    if (isLast || !('failure' in outcome) || !mayFallBack(outcome.failure)) {
      return { ...inferred, providerMs, model, inputBytes };
    }
    log.warn({ model, fallback: models[at + 1] }, 'the model failed, so the fallback model is called');
  }
  throw new Error('a task has at least one model');
}

const mayFallBack = (failure: Failure) =>
  failure instanceof ProviderFailure && canFallBack(classifyFailure(failure));

async function inferWithModel(
  model: string,
  body: unknown,
  task: ClaimedTask,
  deps: InferTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<Omit<InferredTask, 'model' | 'inputBytes'>> {
  const kindId = task.kind as KindId;
  const kind = findKind(kindId);
  const route = deps.route(model, kindId, task);
  await waitUntilLoaded(route, signal);
  // A task whose worker died runs alone, so that no other task dies with it.
  const packingKey = task.lostAttempts > 0 ? task.taskId : getPacking(kind).getKey(body);
  const { microBatcher, policy, packing } = deps.runtimes.get(route, kindId);
  const live = createLiveRun(task, { ...deps, log });
  try {
    const result = await microBatcher.run({
      kind,
      run: live.createRun,
      media: createMediaSources(task.workspaceId, deps.media),
      timeoutMs: task.timeoutMs,
      patienceMs: task.patienceMs,
      mayDefer: policy.mayDefer(task.ageMs),
      permit: deps.permit ?? null,
      deadline: task.deadline?.getTime(),
      call: bindHandler(route, kindId),
      key: `${kindId} ${model} ${packingKey}`,
      policy,
      packing,
      body,
      signal,
      log,
    });
    return {
      ...result,
      provider: route.provider.id,
      credentialFingerprint: route.credential.fingerprint,
      firstTokenMs: live.firstTokenMs,
    };
  } finally {
    await live.end();
  }
}

const crashed = { message: 'The worker crashed each time it ran this request.', code: 'worker_crashed' };
const notStored = {
  message: 'The model answered, but its result could not be stored.',
  code: 'result_not_stored',
};
const failedTooOften = {
  message: `This request failed ${maxFailedAttempts} times with an internal error.`,
  code: 'internal_error',
};

/** The result of a task that is not run again. */
function buildNotRun(model: string, { message, code }: { message: string; code: string }): InferredTask {
  const failure = new ProviderFailure(message, { code, status: 500, retryable: false });
  return {
    outcome: { failure },
    model,
    provider: model.slice(0, model.indexOf('/')),
    credentialFingerprint: null,
    providerMs: 0,
    firstTokenMs: null,
    inputBytes: null,
  };
}
