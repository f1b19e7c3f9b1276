/** Tasks: created by the API, claimed and ended by workers; every step one guarded statement. */
import { newId, type TaskListQuery, type TaskStatus, type TaskError } from '@millrace/contracts';
import { Conflict, NotFound, OverLimit } from '#domain';
import type { Database, Transaction } from '../database.ts';
import {
  AttemptRow,
  TaskRow,
  WebhookEndpointRow,
  type StoredMedia,
  type StoredProgress,
} from '../entities/index.ts';
import { insertWebhookEndpoint, type NewWebhookEndpoint } from './webhook-endpoint.store.ts';
import { buildTaskQuery } from '../transactions/build-task-query.ts';
import { reserveIdempotencyKey, type Idempotency } from '../transactions/idempotency-keys.ts';
import { claimTask } from '../statements/claim-task.sql.ts';
import { createTask } from '../statements/create-task.sql.ts';
import { cancelTask, finishTask, releaseTask } from '../statements/end-task.sql.ts';
import type { Metering } from '../statements/metering.sql.ts';
import { recordProgress } from '../statements/record-progress.sql.ts';
import {
  queueDueTasks,
  expireTasks,
  findOrphanedRun,
  findQueuePosition,
  saveRunId,
} from '../statements/task-schedule.sql.ts';
import { listOverdueTasks, requeueTasks } from '../statements/overdue-tasks.sql.ts';

export interface NewTask {
  readonly id: string;
  readonly kind: string;
  readonly model: string;
  readonly provider: string;
  readonly pool: string;
  /** The kind's body as JSON text; null where it lies under `inputKey`. */
  readonly input: string | null;
  readonly inputKey: string | null;
  readonly metadata: Record<string, string> | null;
  readonly priority: number;
  readonly runAt: Date | null;
  readonly deadline: Date | null;
  readonly startBy: Date | null;
  readonly timeoutMs: number | null;
  readonly fallbackModels: readonly string[] | null;
  /** How much work it is, in the kind's own measure; more than 0. */
  readonly work: number;
  /** The task that it is another try at. */
  readonly retryOf: string | null;
  /** Where its events are sent, beside the workspace's endpoints. */
  readonly webhookEndpoint?: NewWebhookEndpoint;
  /** Whose use it is. */
  readonly apiKeyId: string | null;
}

export type TaskWithWebhook = TaskRow & { readonly webhook: WebhookEndpointRow | null };

/** A run that goes on upstream though its task is over. */
export interface OrphanedRun {
  readonly kind: string;
  readonly model: string;
  readonly runId: string;
}

export interface QueuedTask {
  readonly taskId: string;
  readonly generation: number;
  readonly pool: string;
  readonly priority: number;
}

/** A task in the hands of a worker. */
export interface ClaimedTask {
  readonly taskId: string;
  readonly workspaceId: string;
  readonly kind: string;
  readonly model: string;
  readonly pool: string;
  readonly attempt: number;
  readonly workerId: string;
  /** The kind's body; null where it lies under `inputKey`. */
  readonly input: unknown;
  readonly inputKey: string | null;
  /** Tries before this one whose worker died or was fenced out. */
  readonly lostAttempts: number;
  /** The run that an earlier attempt began upstream. */
  readonly upstreamRunId: string | null;
  readonly timeoutMs: number | null;
  readonly fallbackModels: readonly string[] | null;
  readonly priority: number;
  readonly deadline: Date | null;
}

export interface TaskResult {
  readonly status: 'succeeded' | 'failed';
  /** The answer as JSON text; null where it lies under `outputKey`, or there is none. */
  readonly output: string | null;
  readonly outputKey: string | null;
  readonly media: readonly StoredMedia[] | null;
  readonly error: TaskError | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly providerMs: number;
  readonly storeMs: number;
  /** The model that was asked last, where the task names others beside its own. */
  readonly model: string;
  readonly provider: string;
  readonly metering: Metering;
}

/** What somebody who waits for a task is told. */
export interface EndedTask {
  readonly taskId: string;
  readonly status: TaskStatus;
  readonly output: string | null;
  readonly outputKey: string | null;
  readonly error: TaskError | null;
}

/** Who is before a queued task of its pool, how many of the pool run, and what one of them takes. */
export interface QueuePosition {
  readonly position: number;
  readonly running: number;
  readonly typicalMs: number;
}

/** Between two facts of one task's progress. */
const progressEveryS = 5;

type Held = Pick<ClaimedTask, 'taskId' | 'attempt' | 'workerId'>;

/** What waits is short work: a place is free again soon. */
const retryAfterMs = 2_000;

export class TaskStore {
  /** @param now a test's clock; the database's otherwise. */
  constructor(
    private readonly database: Database,
    private readonly now: () => Date | null = () => null,
  ) {}

  /**
   * @param maxPending of the workspace, this one included. @returns the task's id: the given one, or of the task that
   * the same key made before. @throws Conflict when the key was used for another request, OverLimit 429
   * `too_many_pending_tasks`; nothing is written then.
   */
  create(
    workspaceId: string,
    task: NewTask,
    idempotency: Idempotency | null,
    maxPending: number,
  ): Promise<string> {
    const { webhookEndpoint } = task;
    if (!idempotency && !webhookEndpoint) return this.insert(workspaceId, task, maxPending);
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const earlier = idempotency && (await reserveIdempotencyKey(tx, workspaceId, task.id, idempotency));
      if (earlier) return earlier;
      if (webhookEndpoint) await insertWebhookEndpoint(tx, workspaceId, webhookEndpoint);
      return this.insert(workspaceId, task, maxPending, tx);
    });
  }

  private async insert(
    workspaceId: string,
    task: NewTask,
    maxPending: number,
    tx?: Transaction,
  ): Promise<string> {
    const { id, kind, model, provider, pool, input, inputKey, metadata } = task;
    const { priority, runAt, deadline, startBy, timeoutMs, fallbackModels, work, retryOf, apiKeyId } = task;
    const row = [id, workspaceId, kind, model, provider, pool, input, inputKey, metadata];
    const fallbacks = fallbackModels && JSON.stringify(fallbackModels);
    const life = [priority, runAt, deadline, startBy, timeoutMs, fallbacks, work, retryOf, apiKeyId];
    const [made] = await this.database.prepared(
      createTask,
      [...row, newId('event'), maxPending, ...life],
      tx,
    );
    if (made) return id;
    throw new OverLimit(
      `${maxPending.toLocaleString('en')} tasks of this workspace wait to be run. Try again when some are done, or send them as a batch.`,
      { status: 429, code: 'too_many_pending_tasks', retryAfterMs },
    );
  }

  /** @throws NotFound */
  get(workspaceId: string, id: string): Promise<TaskWithWebhook> {
    return this.database.withWorkspace(workspaceId, (tx) => loadTask(tx, workspaceId, id));
  }

  /** One row more than `limit` where there are more; without what went in and came out. */
  list(workspaceId: string, page: TaskListQuery): Promise<TaskRow[]> {
    return this.database.withWorkspace(workspaceId, (tx) => buildTaskQuery(tx, workspaceId, page).getMany());
  }

  /** How the database reads a page: `explain analyze` in words, for tests. */
  explainList(workspaceId: string, page: TaskListQuery): Promise<string> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const [sql, values] = buildTaskQuery(tx, workspaceId, page).getQueryAndParameters();
      const rows = await tx.query<{ 'QUERY PLAN': string }[]>(`explain (analyze, timing off) ${sql}`, values);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    });
  }

  /** The same, of these kinds, with what went in. */
  listVideos(
    workspaceId: string,
    page: Pick<TaskListQuery, 'after' | 'order' | 'limit'>,
    kinds: readonly string[],
  ): Promise<TaskRow[]> {
    return this.database.withWorkspace(workspaceId, (tx) =>
      buildTaskQuery(tx, workspaceId, page, kinds).getMany(),
    );
  }

  /** How many stand before it in its pool, up to 1,000; null where it is not queued. */
  async findQueuePosition(id: string): Promise<QueuePosition | null> {
    const [place] = await this.database.rows<QueuePosition>(findQueuePosition, [id]);
    return place ?? null;
  }

  /** Its tries, oldest first. @throws NotFound */
  listAttempts(workspaceId: string, id: string): Promise<AttemptRow[]> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      await loadTask(tx, workspaceId, id);
      return tx.getRepository(AttemptRow).find({ where: { taskId: id, workspaceId }, order: { id: 'asc' } });
    });
  }

  /** Takes it out of lists and the store's references; what it stored is garbage then. @throws NotFound, Conflict */
  async delete(workspaceId: string, id: string): Promise<void> {
    await this.database.withWorkspace(workspaceId, async (tx) => {
      const { status } = await loadTask(tx, workspaceId, id);
      const gone = await tx.query<unknown[]>(
        `delete from tasks where id = $1 and workspace_id = $2
         and status in ('succeeded', 'failed', 'canceled', 'expired') returning 1`,
        [id, workspaceId],
      );
      if (gone.length === 0) throw new Conflict(`This task is ${status}.`, { code: 'task_not_over' });
    });
  }

  /** Scheduled tasks whose time has come, now queued. */
  queueDue(limit: number): Promise<QueuedTask[]> {
    return this.database.rows<QueuedTask>(queueDueTasks, [limit]);
  }

  /** Ends those that have missed their times. @returns their ids. */
  async expireOverdue(limit: number): Promise<string[]> {
    const rows = await this.database.rows<{ taskId: string }>(expireTasks, [limit]);
    return rows.map(({ taskId }) => taskId);
  }

  /** Ends it at once; an answer that comes later is void. Again: no change. @throws NotFound, Conflict once it ended */
  cancel(workspaceId: string, id: string): Promise<TaskWithWebhook> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      await tx.query(cancelTask, [id, workspaceId, newId('event')]);
      const task = await loadTask(tx, workspaceId, id);
      if (task.status === 'canceled') return task;
      throw new Conflict(`This task has ${task.status} already and can no longer be cancelled.`, {
        code: 'task_not_cancellable',
      });
    });
  }

  /** What a task that was cancelled or has expired had begun upstream; null where it had not, or has not ended so. */
  async findOrphanedRun(taskId: string): Promise<OrphanedRun | null> {
    const [left] = await this.database.rows<OrphanedRun>(findOrphanedRun, [taskId]);
    return left ?? null;
  }

  /** Of these tasks those that have ended. */
  async listEnded(ids: readonly string[]): Promise<EndedTask[]> {
    return this.database.rows<EndedTask>(
      `select id as "taskId", status, output::text, output_key as "outputKey", error from tasks
       where id = any($1) and status in ('succeeded', 'failed', 'canceled', 'expired')`,
      [ids],
    );
  }

  /** @returns null where the delivery is stale or the task over. */
  async claim({ taskId, generation }: Pick<QueuedTask, 'taskId' | 'generation'>, workerId: string) {
    const values = [taskId, generation, workerId, newId('event')];
    const [claimed] = await this.database.prepared<ClaimedTask>(claimTask, values);
    return claimed ?? null;
  }

  /** @returns false where another attempt holds the task now, or it was cancelled: the result is void. */
  async finish({ taskId, attempt, workerId }: Held, result: TaskResult): Promise<boolean> {
    const rows = await this.database.prepared(finishTask, [
      taskId,
      attempt,
      workerId,
      result.status,
      result.output,
      result.outputKey,
      result.error && JSON.stringify(result.error),
      result.inputTokens,
      result.outputTokens,
      Math.round(result.providerMs),
      Math.round(result.storeMs),
      newId('event'),
      result.media && result.media.length > 0 ? JSON.stringify(result.media) : null,
      JSON.stringify(result.metering),
      result.model,
      result.provider,
    ]);
    return rows.length > 0;
  }

  /** Hands it back. @returns the number of the delivery that is due after `delayMs`; null where it is no longer held. */
  async release(
    { taskId, attempt, workerId }: Held,
    outcome: 'released' | 'failed',
    errorCode: string | null,
    delayMs: number,
  ): Promise<number | null> {
    const values = [taskId, attempt, workerId, outcome, errorCode, delayMs];
    const [freed] = await this.database.rows<{ delivery: number }>(releaseTask, values);
    return freed?.delivery ?? null;
  }

  /** @returns false where another attempt holds the task now. */
  async recordProgress({ taskId, attempt, workerId }: Held, progress: StoredProgress): Promise<boolean> {
    const values = [taskId, attempt, workerId, JSON.stringify(progress)];
    const fact = [newId('event'), this.now(), progressEveryS];
    return (await this.database.prepared(recordProgress, [...values, ...fact])).length > 0;
  }

  /** The upstream's run, for an attempt after this one to go on with. @returns false where the attempt is void. */
  async saveRunId({ taskId, attempt, workerId }: Held, run: string): Promise<boolean> {
    return (await this.database.prepared(saveRunId, [taskId, attempt, workerId, run])).length > 0;
  }

  /** Of these tasks those that this worker no longer holds: cancelled, or taken over. */
  async listNotHeld(workerId: string, ids: readonly string[]): Promise<string[]> {
    const rows = await this.database.rows<{ id: string }>(
      `select id from tasks where id = any($2) and (worker_id is distinct from $1 or status <> 'running')`,
      [workerId, ids],
    );
    return rows.map(({ id }) => id);
  }

  /** @param seconds after which a queued task is suspect, and a worker counts as gone. */
  listOverdue(seconds: { queued: number; workerGone: number }, after: string, limit: number) {
    return this.database.rows<QueuedTask>(listOverdueTasks, [
      seconds.queued,
      seconds.workerGone,
      after,
      limit,
    ]);
  }

  /** Gives lost deliveries their next number. @returns those that were still what they were. */
  requeue(lost: readonly QueuedTask[]): Promise<QueuedTask[]> {
    const ids = lost.map(({ taskId }) => taskId);
    return this.database.rows<QueuedTask>(requeueTasks, [ids, lost.map(({ generation }) => generation)]);
  }
}

async function loadTask(tx: Transaction, workspaceId: string, id: string): Promise<TaskWithWebhook> {
  const task = await tx
    .getRepository(TaskRow)
    .createQueryBuilder('task')
    .leftJoinAndMapOne('task.webhook', WebhookEndpointRow, 'webhook', 'webhook.subject = task.id')
    .where({ id, workspaceId })
    .getOne();
  if (!task) throw new NotFound('No such task.', { code: 'task_not_found' });
  return task as TaskWithWebhook;
}
