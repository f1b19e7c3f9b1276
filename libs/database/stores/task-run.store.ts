/** Tasks as a worker runs them: claim, record progress, finish, release. Every step is one guarded statement. */
import { createId, type TaskError } from '@millrace/contracts';
import type { Database } from '../database.ts';
import type { StoredMedia, StoredProgress } from '../entities/index.ts';
import { claimTask } from '../statements/claim-task.sql.ts';
import { finishTask, releaseTask } from '../statements/end-task.sql.ts';
import type { Metering } from '../statements/metering.sql.ts';
import { recordProgress } from '../statements/record-progress.sql.ts';
import { findOrphanedRun, saveRunId } from '../statements/task-schedule.sql.ts';
import type { QueuedTask } from './task-queue.store.ts';

/** A task that a worker holds. */
export interface ClaimedTask {
  readonly taskId: string;
  readonly workspaceId: string;
  readonly kind: string;
  readonly model: string;
  readonly pool: string;
  readonly provider: string;
  readonly attempt: number;
  readonly workerId: string;
  /** The kind's request body; null if it is in object storage under `inputKey`. */
  readonly input: unknown;
  readonly inputKey: string | null;
  /** Earlier attempts that were lost: their worker crashed or lost its lock. */
  readonly lostAttempts: number;
  /** Earlier attempts that failed with an error of ours. */
  readonly failedAttempts: number;
  /** An earlier attempt was answered, and its result could not be stored: no other call is made. */
  readonly wasAnswered: boolean;
  /** The upstream's run of an earlier attempt. */
  readonly upstreamRunId: string | null;
  readonly timeoutMs: number | null;
  /** How long the caller waits for the provider beyond its calls, in ms. null: no client waits for the result. */
  readonly patienceMs: number | null;
  /** ms since the task was created. */
  readonly ageMs: number;
  readonly fallbackModels: readonly string[] | null;
  readonly priority: number;
  readonly deadline: Date | null;
}

export interface TaskResult {
  readonly status: 'succeeded' | 'failed';
  /** The answer as JSON text; null if it is in object storage under `outputKey`, or there is none. */
  readonly output: string | null;
  readonly outputKey: string | null;
  readonly media: readonly StoredMedia[] | null;
  readonly error: TaskError | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly providerMs: number;
  readonly storeMs: number;
  /** The model of the last call: with fallback models it may differ from the task's model. */
  readonly model: string;
  readonly provider: string;
  readonly metering: Metering;
}

/** An upstream run that may still be running although its task was cancelled or has expired. */
export interface OrphanedRun {
  readonly workspaceId: string;
  readonly kind: string;
  readonly model: string;
  readonly runId: string;
}

/** Minimum seconds between two progress events of one task. */
const progressEventIntervalS = 5;

type TaskAttempt = Pick<ClaimedTask, 'taskId' | 'attempt' | 'workerId'>;

export class TaskRunStore {
  /** @param now a test's clock; the database's clock by default. */
  constructor(
    private readonly database: Database,
    private readonly now: () => Date | null = () => null,
  ) {}

  /** @returns null if the generation is stale or the task has ended. */
  async claim(
    { taskId, generation }: Pick<QueuedTask, 'taskId' | 'generation'>,
    workerId: string,
  ): Promise<ClaimedTask | null> {
    const values = [taskId, generation, workerId, createId('event')];
    const [claimed] = await this.database.prepared<ClaimedTask>(claimTask, values);
    return claimed ?? null;
  }

  /** @returns false if another attempt holds the task now, or it has ended: the result is void. */
  async finish({ taskId, attempt, workerId }: TaskAttempt, result: TaskResult): Promise<boolean> {
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
      createId('event'),
      result.media && result.media.length > 0 ? JSON.stringify(result.media) : null,
      JSON.stringify(result.metering),
      result.model,
      result.provider,
    ]);
    return rows.length > 0;
  }

  /** Whether this attempt has ended the task. Tells a commit whose response was lost from one of another attempt. */
  async hasFinished({ taskId, attempt, workerId }: TaskAttempt): Promise<boolean> {
    const rows = await this.database.rows(
      `select from tasks
       where id = $1 and attempt = $2 and worker_id = $3 and status in ('succeeded', 'failed')`,
      [taskId, attempt, workerId],
    );
    return rows.length > 0;
  }

  /** Releases a task. @returns the generation of the job that is due after `delayMs`; null if the attempt no longer holds it. */
  async release(
    { taskId, attempt, workerId }: TaskAttempt,
    outcome: 'released' | 'failed',
    errorCode: string | null,
    delayMs: number,
  ): Promise<number | null> {
    const values = [taskId, attempt, workerId, outcome, errorCode, delayMs];
    const [released] = await this.database.rows<{ generation: number }>(releaseTask, values);
    return released?.generation ?? null;
  }

  /** @returns false if another attempt holds the task now. */
  async recordProgress(
    { taskId, attempt, workerId }: TaskAttempt,
    progress: StoredProgress,
  ): Promise<boolean> {
    const values = [taskId, attempt, workerId, JSON.stringify(progress)];
    const event = [createId('event'), this.now(), progressEventIntervalS];
    return (await this.database.prepared(recordProgress, [...values, ...event])).length > 0;
  }

  /** Saves the id of the upstream's run, so that a later attempt can resume it. @returns false if the attempt is void. */
  async saveRunId({ taskId, attempt, workerId }: TaskAttempt, runId: string): Promise<boolean> {
    return (await this.database.prepared(saveRunId, [taskId, attempt, workerId, runId])).length > 0;
  }

  /** @returns the upstream run of a task that was cancelled or has expired; null if it has none. */
  async findOrphanedRun(taskId: string): Promise<OrphanedRun | null> {
    const [run] = await this.database.rows<OrphanedRun>(findOrphanedRun, [taskId]);
    return run ?? null;
  }

  /** @returns those of these tasks that this worker no longer holds: they have ended, or another worker holds them. */
  async listNotHeld(workerId: string, ids: readonly string[]): Promise<string[]> {
    const rows = await this.database.rows<{ id: string }>(
      `select id from tasks where id = any($2) and (worker_id is distinct from $1 or status <> 'running')`,
      [workerId, ids],
    );
    return rows.map(({ id }) => id);
  }
}
