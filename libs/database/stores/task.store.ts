/** A task as its owner sees it: create, read, list, cancel, delete. Running and queueing have stores of their own. */
import { createId, type TaskError, type TaskListQuery, type TaskStatus } from '@millrace/contracts';
import { Conflict, NotFound, OverLimit } from '#domain';
import type { Database } from '../database.ts';
import { AttemptRow, TaskRow, WebhookEndpointRow } from '../entities/index.ts';
import { createTask } from '../statements/create-task.sql.ts';
import { cancelTask } from '../statements/end-task.sql.ts';
import { findQueuePosition } from '../statements/task-schedule.sql.ts';
import type { Transaction } from '../transaction.ts';
import { buildTaskQuery } from '../transactions/build-task-query.ts';
import { reserveIdempotencyKey, type Idempotency } from '../transactions/idempotency-keys.ts';
import { insertWebhookEndpoint, type NewWebhookEndpoint } from '../transactions/webhook-endpoints.ts';

export interface NewTask {
  readonly id: string;
  readonly kind: string;
  readonly model: string;
  readonly provider: string;
  readonly pool: string;
  /** The kind's request body as JSON text; null if it is in object storage under `inputKey`. */
  readonly input: string | null;
  readonly inputKey: string | null;
  readonly metadata: Record<string, string> | null;
  readonly priority: number;
  readonly runAt: Date | null;
  readonly deadline: Date | null;
  readonly startBy: Date | null;
  readonly timeoutMs: number | null;
  /** How long the caller waits for the provider beyond its calls. null: no client waits for the result. */
  readonly patienceMs: number | null;
  readonly fallbackModels: readonly string[] | null;
  /** Amount of work, in the kind's own unit; greater than 0. */
  readonly work: number;
  /** The task that it retries. */
  readonly retryOf: string | null;
  /** An endpoint for this task's events, besides the workspace's endpoints. */
  readonly webhookEndpoint?: NewWebhookEndpoint;
  /** The key that its usage is counted under. */
  readonly apiKeyId: string | null;
}

export type TaskWithWebhook = TaskRow & { readonly webhook: WebhookEndpointRow | null };

/** A task's answer, for requests that wait for it. */
export interface EndedTask {
  readonly taskId: string;
  readonly status: TaskStatus;
  readonly output: string | null;
  readonly outputKey: string | null;
  readonly error: TaskError | null;
}

export interface QueuePosition {
  /** Number of tasks of its lane that are before it. */
  readonly position: number;
  /** Number of running tasks of its lane. */
  readonly running: number;
  /** Median duration of tasks like it; 0 if unknown. */
  readonly typicalMs: number;
}

/** Retry-After of the error. Pending tasks are short, so there is room again soon. */
const retryAfterMs = 2_000;

export class TaskStore {
  constructor(private readonly database: Database) {}

  /**
   * @param maxPending the workspace's limit of pending tasks, this one included.
   * @returns the task's id: the given one, or the id of the task that the same idempotency key created before.
   * @throws Conflict if the key was used for another request, OverLimit 429 `too_many_pending_tasks`; nothing is
   * written then.
   */
  create(
    workspaceId: string,
    task: NewTask,
    idempotency: Idempotency | null,
    maxPending: number,
  ): Promise<string> {
    const { webhookEndpoint } = task;
    if (!idempotency && !webhookEndpoint) return this.insert(workspaceId, task, maxPending);
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const earlier =
        idempotency && (await reserveIdempotencyKey(transaction, workspaceId, task.id, idempotency));
      if (earlier) return earlier;
      if (webhookEndpoint) await insertWebhookEndpoint(transaction, workspaceId, webhookEndpoint);
      return this.insert(workspaceId, task, maxPending, transaction);
    });
  }

  private async insert(
    workspaceId: string,
    task: NewTask,
    maxPending: number,
    transaction?: Transaction,
  ): Promise<string> {
    const { id, kind, model, provider, pool, input, inputKey, metadata } = task;
    const { priority, runAt, deadline, startBy, timeoutMs, fallbackModels, work, retryOf, apiKeyId } = task;
    const { patienceMs } = task;
    const row = [id, workspaceId, kind, model, provider, pool, input, inputKey, metadata];
    const fallbacks = fallbackModels && JSON.stringify(fallbackModels);
    const schedule = [priority, runAt, deadline, startBy, timeoutMs, fallbacks, work, retryOf, apiKeyId];
    const values = [...row, createId('event'), maxPending, ...schedule, patienceMs];
    const [created] = await this.database.prepared(createTask, values, transaction);
    if (created) return id;
    throw new OverLimit(
      `This workspace has ${maxPending.toLocaleString('en')} pending tasks, which is the limit. ` +
        'Try again when some are done, or send a batch.',
      { status: 429, code: 'too_many_pending_tasks', retryAfterMs },
    );
  }

  /** @throws NotFound */
  get(workspaceId: string, id: string): Promise<TaskWithWebhook> {
    return this.database.withWorkspace(workspaceId, (transaction) => loadTask(transaction, workspaceId, id));
  }

  /** @returns at most `limit` + 1 tasks, so that the caller knows if there are more; without inputs and outputs. */
  list(workspaceId: string, page: TaskListQuery): Promise<TaskRow[]> {
    return this.database.withWorkspace(workspaceId, (transaction) =>
      buildTaskQuery(transaction, workspaceId, page).getMany(),
    );
  }

  /** @returns the query plan of a list, as text from `explain analyze`, for tests. */
  explainList(workspaceId: string, page: TaskListQuery): Promise<string> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const [sql, values] = buildTaskQuery(transaction, workspaceId, page).getQueryAndParameters();
      const rows = await transaction.rows<{ 'QUERY PLAN': string }>(
        `explain (analyze, timing off) ${sql}`,
        values,
      );
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    });
  }

  /** Lists tasks of these kinds, with their inputs. @returns at most `limit` + 1 tasks. */
  listVideos(
    workspaceId: string,
    page: Pick<TaskListQuery, 'after' | 'order' | 'limit'>,
    kinds: readonly string[],
  ): Promise<TaskRow[]> {
    return this.database.withWorkspace(workspaceId, (transaction) =>
      buildTaskQuery(transaction, workspaceId, page, kinds).getMany(),
    );
  }

  /** @returns null if the task is not queued. The position is counted up to 1,000. */
  async findQueuePosition(id: string): Promise<QueuePosition | null> {
    const [position] = await this.database.rows<QueuePosition>(findQueuePosition, [id]);
    return position ?? null;
  }

  /** @returns the task's attempts, oldest first. @throws NotFound */
  listAttempts(workspaceId: string, id: string): Promise<AttemptRow[]> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      await loadTask(transaction, workspaceId, id);
      return transaction
        .repository(AttemptRow)
        .find({ where: { taskId: id, workspaceId }, order: { id: 'asc' } });
    });
  }

  /** Deletes a task that has ended. Its objects become garbage. @throws NotFound; Conflict if it has not ended. */
  async delete(workspaceId: string, id: string): Promise<void> {
    await this.database.withWorkspace(workspaceId, async (transaction) => {
      const { status } = await loadTask(transaction, workspaceId, id);
      const deleted = await transaction.execute(
        `delete from tasks where id = $1 and workspace_id = $2
         and status in ('succeeded', 'failed', 'canceled', 'expired')`,
        [id, workspaceId],
      );
      if (deleted === 0) throw new Conflict(`This task is ${status}.`, { code: 'task_not_over' });
    });
  }

  /** Cancels a task at once; a later result is void. Idempotent. @throws NotFound; Conflict if it has ended. */
  cancel(workspaceId: string, id: string): Promise<TaskWithWebhook> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      await transaction.rows(cancelTask, [id, workspaceId, createId('event')]);
      const task = await loadTask(transaction, workspaceId, id);
      if (task.status === 'canceled') return task;
      throw new Conflict(`This task has ended (${task.status}) and can no longer be cancelled.`, {
        code: 'task_not_cancellable',
      });
    });
  }

  /** @returns those of these tasks that have ended. */
  async listEnded(ids: readonly string[]): Promise<EndedTask[]> {
    return this.database.rows<EndedTask>(
      `select id as "taskId", status, output::text, output_key as "outputKey", error from tasks
       where id = any($1) and status in ('succeeded', 'failed', 'canceled', 'expired')`,
      [ids],
    );
  }
}

async function loadTask(transaction: Transaction, workspaceId: string, id: string): Promise<TaskWithWebhook> {
  const task = await transaction
    .repository(TaskRow)
    .createQueryBuilder('task')
    .leftJoinAndMapOne('task.webhook', WebhookEndpointRow, 'webhook', 'webhook.subject = task.id')
    .where({ id, workspaceId })
    .getOne();
  if (!task) throw new NotFound('No such task.', { code: 'task_not_found' });
  return task as TaskWithWebhook;
}
