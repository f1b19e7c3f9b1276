/**
 * The file to read first: what a worker does with a direct request. Claim, infer, keep, finish. Every step after the
 * claim is void once another attempt has claimed the task, or its owner has cancelled it.
 */
import { kindOf, packingOf, type KindId } from '#catalogue';
import type { ClaimedTask, Metering, TaskResult, TaskStore } from '#database';
import { judge, mayFallBack, ProviderFailure, type Failure, type Prices } from '#domain';
import type { Provider, Route } from '#providers';
import { Interrupted, type Queues } from '#queues';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import { taskRun, type Logger } from '#telemetry';
import { claimUntilSettled } from '../release/retry-until-settled.ts';
import type { RunningWorkRegistry } from '../heartbeat/running-work.ts';
import type { ModelRuntimes } from '../inference/model-runtimes.ts';
import type { DirectOutcome } from '../inference/micro-batcher.ts';
import { endOrphanedRun } from './end-orphaned-run.ts';
import { startDeadline } from './task-deadline.ts';
import { releaseTask, findRateLimit, deferTask } from './release-task.ts';
import { storeMedia } from '../inference/store-media.ts';
import { createLiveRun } from './live-run.ts';
import { createMediaSources, type MediaSourceDeps } from '../inference/media-sources.ts';
import { UsageMeter } from '../inference/usage-meter.ts';
import { bindHandler, toWireError } from '../inference/infer.ts';
import { waitUntilLoaded } from '../models/wait-until-loaded.ts';

export interface RunTaskDeps {
  readonly workerId: string;
  readonly tasks: TaskStore;
  readonly runtimes: ModelRuntimes;
  readonly route: (model: string, kind: KindId) => Route;
  readonly objects: ObjectStore;
  readonly queues: Queues;
  readonly bus: Bus;
  readonly runningWork: RunningWorkRegistry;
  readonly media: MediaSourceDeps;
  readonly prices: Prices;
  /** Wakes the relay; not at each task. */
  readonly publishEventsCommitted: () => void;
}

export interface TaskJob {
  readonly taskId: string;
  readonly generation: number;
}

/** Answers up to this size ride along with the news that the task has ended. */
const carriedBytes = 32 * 2 ** 10;

/** Tries that may end with a dead worker. What ran beside the request that kills is lost with it each time. */
const lossesUntilFailed = 5;

export async function runTask(
  job: TaskJob,
  deps: RunTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  const task = await claimUntilSettled(() => deps.tasks.claim(job, deps.workerId), signal);
  if (!task) return endOrphanedRun(job.taskId, deps, log); // Someone else has it, or it is over.
  const done = deps.runningWork.add({
    type: 'task',
    id: task.taskId,
    workspace: task.workspaceId,
    model: task.model,
  });
  const began = performance.now();
  const life = startDeadline(task.deadline, signal);
  try {
    const inferred = await inferTask(task, deps, life.signal, log);
    const limit = findRateLimit(task, inferred.outcome);
    if (limit) return await deferTask(task, limit, deps, signal, log);
    const result = await keep(task, inferred, deps);
    if (await deps.tasks.finish(task, result)) tell(task, result, deps);
    else await discard(result, deps, log);
    const outcome = result.status;
    taskRun.observe({ kind: task.kind, outcome }, (performance.now() - began) / 1_000);
    log.debug({ attempt: task.attempt, outcome, providerMs: Math.round(inferred.providerMs) }, 'task ended');
  } catch (error) {
    if (!isCanceled(life.signal)) await releaseTask(task, error, deps, signal, log);
  } finally {
    life.end();
    done();
  }
}

/** How it went, with the model that was asked last. */
interface Inferred extends DirectOutcome {
  readonly model: string;
  readonly provider: Pick<Provider, 'id' | 'token'>;
  readonly firstTokenMs: number | null;
  /** Of an input that does not stand in the row. */
  readonly inputBytes: number | null;
}

async function inferTask(
  task: ClaimedTask,
  deps: RunTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<Inferred> {
  const { lostAttempts, inputKey } = task;
  if (lostAttempts >= lossesUntilFailed) {
    const { model } = task;
    const provider = { id: model.slice(0, model.indexOf('/')) };
    const nothing = { model, provider, providerMs: 0, firstTokenMs: null, inputBytes: null };
    return { ...nothing, outcome: { failure: crashed() } };
  }
  const stored = inputKey ? await deps.objects.read(inputKey, { signal }) : null;
  const inputBytes = stored && stored.length;
  const body: unknown = stored ? JSON.parse(stored.toString()) : task.input;
  const models = [task.model, ...(task.fallbackModels ?? [])];
  let spentMs = 0;
  for (const [at, model] of models.entries()) {
    // The answer names the model that it was asked of: what is sent is what is said.
    const asked = at === 0 ? body : { ...(body as object), model };
    // What the first model began upstream is no other's to go on with.
    const own = at === 0 ? task : { ...task, upstreamRunId: null };
    const tried = await inferWith(model, asked, own, deps, signal, log);
    const { outcome } = tried;
    spentMs += tried.providerMs;
    const isEnd = at === models.length - 1 || !('failure' in outcome) || !mayTryAnother(outcome.failure);
    if (isEnd) return { ...tried, providerMs: spentMs, model, inputBytes };
    log.warn({ model, fallback: models[at + 1] }, 'the model failed; the request names another');
  }
  throw new Error('a task has a model');
}

const mayTryAnother = (failure: Failure) => failure instanceof ProviderFailure && mayFallBack(judge(failure));

async function inferWith(
  model: string,
  body: unknown,
  task: ClaimedTask,
  deps: RunTaskDeps,
  signal: AbortSignal,
  log: Logger,
): Promise<Omit<Inferred, 'model' | 'inputBytes'>> {
  const kindId = task.kind as KindId;
  const kind = kindOf(kindId);
  const route = deps.route(model, kindId);
  await waitUntilLoaded(route, signal);
  // One that a worker died of runs alone, so that no other dies with it.
  const company = task.lostAttempts > 0 ? task.taskId : packingOf(kind).key(body);
  const { microBatcher, policy, packing } = deps.runtimes.get(route, kindId);
  const live = createLiveRun(task, { ...deps, log });
  const request = {
    kind,
    run: live.createRun,
    media: createMediaSources(task.workspaceId, deps.media),
    timeoutMs: task.timeoutMs,
    deadline: task.deadline?.getTime(),
    call: bindHandler(route, kindId),
    key: `${kindId} ${model} ${company}`,
    policy,
    packing,
    body,
    signal,
    log,
  };
  try {
    const tried = await microBatcher.run(request);
    return { ...tried, provider: route.provider, firstTokenMs: live.firstTokenMs };
  } finally {
    await live.end();
  }
}

const crashed = () =>
  new ProviderFailure('The worker stopped each time this was tried.', {
    code: 'worker_crashed',
    status: 500,
    retryable: false,
  });

/** A large answer is durable before the task names it; the attempt in the key keeps rivals apart. */
async function keep(task: ClaimedTask, inferred: Inferred, deps: RunTaskDeps): Promise<TaskResult> {
  const { outcome, providerMs, model, provider } = inferred;
  const nothing = {
    ...{ model, provider: provider.id, metering: meteringOf(inferred, deps.prices) },
    output: null,
    outputKey: null,
    media: null,
    inputTokens: null,
    outputTokens: null,
    storeMs: 0,
  };
  if ('failure' in outcome) {
    const { failure } = outcome;
    const error = { ...toWireError(failure), status: failure.status };
    return { ...nothing, status: 'failed', error, providerMs };
  }
  const { json, usage, media = [] } = outcome.answer;
  const { inputTokens, outputTokens } = usage;
  const began = performance.now();
  const kept = await storeMedia(task, media, deps.objects);
  const took = () => performance.now() - began;
  const used = { inputTokens, outputTokens, media: kept, providerMs };
  const result = { ...nothing, ...used, status: 'succeeded', error: null } as const;
  if (json.length <= kindOf(task.kind as KindId).result.inlineBytes)
    return { ...result, output: json, storeMs: took() };
  const key = `${task.workspaceId}/tasks/${task.taskId}/${task.attempt}.output.json`;
  await deps.objects.put(key, Buffer.from(json));
  return { ...result, outputKey: key, storeMs: took() };
}

function meteringOf(
  { outcome, model, provider, firstTokenMs, inputBytes }: Inferred,
  prices: Prices,
): Metering {
  const meter = new UsageMeter();
  const answer = 'answer' in outcome ? outcome.answer : null;
  if (answer) meter.add(answer.usage);
  const media = answer?.media ?? [];
  return {
    ...meter.toMetering(model, prices),
    token: provider.token ?? null,
    inputBytes,
    outputBytes: media.reduce(
      (sum, { bytes }) => sum + bytes.byteLength,
      Buffer.byteLength(answer?.json ?? ''),
    ),
    firstTokenMs: firstTokenMs && Math.round(firstTokenMs),
  };
}

function tell({ taskId }: ClaimedTask, result: TaskResult, deps: RunTaskDeps): void {
  const { status, output, error } = result;
  const isCarried =
    result.outputKey === null && !result.media?.length && (output?.length ?? 0) <= carriedBytes;
  void deps.bus.publish('task.ended', { taskId, ...(isCarried && { end: { status, output, error } }) });
  deps.publishEventsCommitted();
}

/** Nothing will ever refer to what a void attempt stored; what this misses is garbage for the store's sweep. */
async function discard({ outputKey, media }: TaskResult, deps: RunTaskDeps, log: Logger): Promise<void> {
  log.info('this task was cancelled or taken over; its result is dropped');
  const keys = [...(outputKey ? [outputKey] : []), ...(media ?? []).map(({ key }) => key)];
  if (keys.length > 0) await deps.objects.delete(keys).catch(() => undefined);
}

const isCanceled = ({ reason }: AbortSignal) => reason instanceof Interrupted && reason.reason === 'canceled';
