/**
 * Creates a task: finds its kind, validates the request, routes the model, writes the task with its event and its
 * idempotency key in one transaction, then puts it in the queue of its lane.
 */
import { channel } from 'node:diagnostics_channel';
import type { KindId } from '#catalogue';
import type { FileStore, Idempotency, NewTask, TaskStore } from '#database';
import { buildLane, Unavailable } from '#domain';
import type { Outbound } from '#outbound';
import type { Providers } from '#providers';
import { buildTaskJob, type Queues } from '#queues';
import type { ObjectStorage } from '#storage';
import type { Logger } from '#telemetry';
import type { Caller } from '../access/caller.ts';
import { prepareTask } from './prepare-task.ts';
import type { TaskRequest } from './task-request.ts';
import type { TaskWaiter, TaskWaiters } from './task-waiters.ts';

/** Published after the commit and before the queue: tests end the process at this point. */
const committed = channel('millrace:task.committed');

export interface SubmittedTask {
  readonly taskId: string;
  readonly kind: KindId;
  readonly waiter: TaskWaiter;
  /** Secret of the webhook endpoint that was created with the task. */
  readonly webhookSecret?: string | undefined;
}

/** The workspace that owns the task, and the key whose usage it counts as. */
export type TaskOwner = Pick<Caller, 'workspaceId' | 'keyId'>;

export type SubmitTask = (
  owner: TaskOwner,
  request: TaskRequest,
  idempotency: Idempotency | null,
  /** Awaited before a worker can claim the task. Not called if the idempotency key has created the task before. */
  beforeQueued?: (taskId: string) => Promise<void>,
) => Promise<SubmittedTask>;
export const SUBMIT_TASK = Symbol('submit task');

export interface SubmitTaskDeps {
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly objects: ObjectStorage;
  readonly providers: Providers;
  readonly waiters: TaskWaiters;
  /** Pending tasks that a workspace may have. */
  readonly maxPendingTasks: number;
  readonly log: Logger;
  readonly files: Pick<FileStore, 'get'>;
  readonly outbound: Pick<Outbound, 'checkUrl'>;
}

/** Larger inputs, in UTF-16 units, are stored as an object and not in the task's row. */
const inlineInputMaxLength = 256 * 2 ** 10;

/** The use case throws InvalidInput, Conflict, OverLimit and Unavailable before the commit, and nothing after it. */
export function submitTaskWith(deps: SubmitTaskDeps): SubmitTask {
  return async ({ workspaceId, keyId: apiKeyId }, request, idempotency, beforeQueued) => {
    const { task, text, kind } = await prepareTask(workspaceId, request, deps);
    // Registered before the task exists, so that its end cannot be missed.
    const waiter = deps.waiters.register(task.id);
    try {
      const webhook = await request.buildWebhook?.(task.id);
      const input = await storeInput(workspaceId, task.id, text, deps.objects);
      const webhookEndpoint = webhook && { webhookEndpoint: webhook.endpoint };
      const newTask = { ...task, ...input, ...webhookEndpoint, apiKeyId };
      const taskId = await createTask(workspaceId, newTask, idempotency, deps);
      if (taskId === task.id) {
        await beforeQueued?.(taskId);
        await enqueueTask(workspaceId, task, deps);
        return { taskId, kind, waiter, webhookSecret: webhook?.secret };
      }
      // The idempotency key created this task before; it may have ended.
      waiter.cancel();
      return { taskId, kind, waiter: deps.waiters.register(taskId, { mayHaveEnded: true }) };
    } catch (error) {
      waiter.cancel();
      throw error;
    }
  };
}

/** The object is durable before the task that names it. */
async function storeInput(workspaceId: string, id: string, text: string, objects: ObjectStorage) {
  if (text.length <= inlineInputMaxLength) return { input: text, inputKey: null };
  const inputKey = `${workspaceId}/tasks/${id}/input.json`;
  await objects.put(inputKey, Buffer.from(text));
  return { input: null, inputKey };
}

/** @returns the id of the task; another one than `task.id` if the idempotency key created it before. */
async function createTask(
  workspaceId: string,
  task: NewTask,
  idempotency: Idempotency | null,
  { tasks, objects, maxPendingTasks }: SubmitTaskDeps,
): Promise<string> {
  const deleteInput = async () => {
    if (task.inputKey) await objects.delete([task.inputKey]).catch(() => undefined);
  };
  try {
    const taskId = await tasks.create(workspaceId, task, idempotency, maxPendingTasks);
    if (taskId !== task.id) await deleteInput();
    return taskId;
  } catch (error) {
    // After Unavailable the row may be committed: its input must stay.
    if (!(error instanceof Unavailable)) await deleteInput();
    throw error;
  }
}

type QueueableTask = Pick<NewTask, 'id' | 'pool' | 'provider' | 'kind' | 'model' | 'runAt' | 'priority'>;

async function enqueueTask(
  workspaceId: string,
  { id: taskId, pool, provider, kind, model, runAt, priority }: QueueableTask,
  { queues, log }: SubmitTaskDeps,
) {
  committed.publish({ taskId });
  // A scheduled task is queued by the reconcile job when it is due.
  if (runAt && runAt.getTime() > Date.now()) return;
  const job = buildTaskJob({ taskId, generation: 1, workspaceId, kind, model, priority });
  await queues.add('direct', buildLane(pool, provider), [job]).catch((error: unknown) => {
    log.warn({ err: error, taskId }, 'could not queue a new task; the reconcile job will queue it');
  });
}
