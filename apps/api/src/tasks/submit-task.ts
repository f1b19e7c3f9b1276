/**
 * A direct request's way in: looked up in the catalogue, parsed, routed, written in one transaction with its fact and
 * its idempotency key, then put in the queue of its pool. Who waits for it is there before it can end.
 */
import { channel } from 'node:diagnostics_channel';
import { kindIds, kindOf, type KindId } from '#catalogue';
import { metadataSchema, newId } from '@millrace/contracts';
import type { Caller, FileStore, Idempotency, NewEndpoint, NewTask, TaskStore } from '#database';
import { InvalidInput, Unavailable } from '#domain';
import type { Outbound } from '#outbound';
import type { Providers } from '#providers';
import { queuePriority, type Queues } from '#queues';
import type { ObjectStore } from '#storage';
import type { Logger } from '#telemetry';
import { toInvalidInput } from '../http/schema.pipe.ts';
import { chooseKind } from './choose-kind.ts';
import { validateMedia } from './validate-media.ts';
import type { TaskWaiters, TaskWaiter } from './task-waiters.ts';

/** Published between the commit and the queue, for tests that end the process right there. */
const committed = channel('millrace:task.committed');

export interface TaskRequest {
  readonly kind: string;
  /** As the kind's endpoint takes it: model, what to infer from, metadata. Not yet parsed. */
  readonly body: unknown;
  /** Where the body's fields stand in what the caller sent, e.g. `input.`; for messages. @default nowhere else */
  readonly paramPrefix?: string;
  readonly runOptions?: Partial<TaskRunOptions>;
  readonly webhook?: BuildTaskWebhook | null;
}

/**
 * Makes the webhook that is the task's alone; its secret is there where it was made here, to be shown once.
 * @throws InvalidInput where it may not be sent to.
 */
export type BuildTaskWebhook = (
  taskId: string,
) => Promise<{ readonly endpoint: NewEndpoint; readonly secret?: string | undefined }>;

/** When it may run, until when, and what may stand in for its model. */
export type TaskRunOptions = Pick<
  NewTask,
  'priority' | 'runAt' | 'deadline' | 'timeoutMs' | 'fallbackModels' | 'retryOf'
> & {
  /** Seconds from when it may run. */
  readonly startTimeoutS: number | null;
};

export interface SubmittedTask {
  readonly taskId: string;
  readonly kind: KindId;
  readonly waiter: TaskWaiter;
  /** Of the webhook that was made with it. */
  readonly webhookSecret?: string | undefined;
}

/** Whose task it is, and whose use. */
export type TaskOwner = Pick<Caller, 'workspaceId' | 'keyId'>;

export type SubmitTask = (
  submitter: TaskOwner,
  request: TaskRequest,
  idempotency: Idempotency | null,
  /** Awaited before the task can be claimed, with its id; also where the same key made it before. */
  beforeQueued?: (taskId: string) => Promise<void>,
) => Promise<SubmittedTask>;
export const SUBMIT_TASK = Symbol('submit task');

export interface SubmitTaskDeps {
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly objects: ObjectStore;
  readonly providers: Providers;
  readonly waiters: TaskWaiters;
  /** Tasks that a workspace may have waiting. */
  readonly maxPendingTasks: number;
  readonly log: Logger;
  readonly files: Pick<FileStore, 'get'>;
  readonly outbound: Pick<Outbound, 'checkUrl'>;
}

/** Inputs up to this size, in UTF-16 units, stand in the task's row; larger ones go to the store. */
const inlineInputMaxLength = 256 * 2 ** 10;

/**
 * The use case on what it stands on. It throws InvalidInput, Conflict, OverLimit and Unavailable before anything is
 * committed, and nothing after.
 */
export function submitTaskWith(deps: SubmitTaskDeps): SubmitTask {
  return async ({ workspaceId, keyId: apiKeyId }, request, idempotency, beforeQueued) => {
    const { task, text, kind } = await prepareTask(workspaceId, request, deps);
    const waiter = deps.waiters.register(task.id);
    try {
      const webhook = await request.webhook?.(task.id);
      const input = await storeInput(workspaceId, task.id, text, deps.objects);
      const bound = webhook && { boundWebhook: webhook.endpoint };
      const taskId = await createTask(
        workspaceId,
        { ...task, ...input, ...bound, apiKeyId },
        idempotency,
        deps,
      );
      if (taskId === task.id) {
        await beforeQueued?.(taskId);
        await enqueueTask(task, deps);
        return { taskId, kind, waiter, webhookSecret: webhook?.secret };
      }
      // The same key made it before: it may have ended long since.
      waiter.cancel();
      return { taskId, kind, waiter: deps.waiters.register(taskId, { mayHaveEnded: true }) };
    } catch (error) {
      waiter.cancel();
      throw error;
    }
  };
}

async function prepareTask(workspaceId: string, request: TaskRequest, deps: SubmitTaskDeps) {
  const { body, paramPrefix, runOptions = {} } = request;
  const { providers } = deps;
  const id = resolveKind(request, providers);
  const kind = kindOf(id);
  const parsed = kind.body.safeParse(body);
  if (!parsed.success) throw toInvalidInput(parsed.error.issues[0], paramPrefix);
  const { model, metadata } = parsed.data as { model: string; metadata?: unknown };
  const labels = metadataSchema.nullish().safeParse(metadata);
  if (!labels.success) throw toInvalidInput({ ...labels.error.issues[0]!, path: ['metadata'] });
  const route = providers.route(model, id);
  for (const fallback of runOptions.fallbackModels ?? []) providers.route(fallback, id);
  const { timeoutMs = null, startTimeoutS = null, runAt = null } = runOptions;
  if (timeoutMs !== null && timeoutMs > kind.longestMs) {
    throw new InvalidInput(`'timeout': ${id} may take ${kind.longestMs / 1_000} seconds at most.`, {
      code: 'invalid_request',
      param: 'timeout',
    });
  }
  await validateMedia(workspaceId, kind, parsed.data, route, deps);
  const from = Math.max(Date.now(), runAt?.getTime() ?? 0);
  const task = {
    id: newId('task'),
    kind: id,
    model,
    provider: route.provider.id,
    pool: route.provider.pool,
    metadata: labels.data ?? null,
    priority: runOptions.priority ?? 0,
    runAt,
    deadline: runOptions.deadline ?? null,
    startBy: startTimeoutS === null ? null : new Date(from + startTimeoutS * 1_000),
    timeoutMs,
    fallbackModels: runOptions.fallbackModels ?? null,
    retryOf: runOptions.retryOf ?? null,
    work: Math.max(kind.work?.(parsed.data) ?? 1, 1e-6),
  };
  return { task, text: JSON.stringify(parsed.data), kind: id };
}

function resolveKind({ kind, body }: TaskRequest, providers: Providers): KindId {
  if (kind === 'auto') {
    const values = body as Record<string, unknown>;
    return chooseKind(String(values['model']), values, providers);
  }
  if (kindOf(kind)) return kind as KindId;
  throw new InvalidInput(`No such kind of task. Use one of: auto, ${kindIds.join(', ')}.`, {
    code: 'unknown_kind',
    param: 'kind',
  });
}

/** A large input is durable before the task that names it. */
async function storeInput(workspaceId: string, id: string, text: string, objects: ObjectStore) {
  if (text.length <= inlineInputMaxLength) return { input: text, inputKey: null };
  const inputKey = `${workspaceId}/tasks/${id}/input.json`;
  await objects.put(inputKey, Buffer.from(text));
  return { input: null, inputKey };
}

async function createTask(
  workspaceId: string,
  task: NewTask,
  idempotency: Idempotency | null,
  { tasks, objects, maxPendingTasks }: SubmitTaskDeps,
): Promise<string> {
  const drop = async () => {
    if (task.inputKey) await objects.delete([task.inputKey]).catch(() => undefined);
  };
  try {
    const taskId = await tasks.create(workspaceId, task, idempotency, maxPendingTasks);
    if (taskId !== task.id) await drop();
    return taskId;
  } catch (error) {
    // Where Postgres went away while it was asked, the row may be there: its input must be too.
    if (!(error instanceof Unavailable)) await drop();
    throw error;
  }
}

async function enqueueTask(
  { id, pool, runAt, priority }: Pick<NewTask, 'id' | 'pool' | 'runAt' | 'priority'>,
  { queues, log }: SubmitTaskDeps,
) {
  committed.publish({ taskId: id });
  // The sweep queues it when its time has come.
  if (runAt && runAt.getTime() > Date.now()) return;
  const payload = { taskId: id, generation: 1 };
  await queues.add('direct', pool, [{ payload, ...queuePriority(priority) }]).catch((error: unknown) => {
    log.warn({ err: error, taskId: id }, 'the queue did not take a new task; the sweep will deliver it');
  });
}
