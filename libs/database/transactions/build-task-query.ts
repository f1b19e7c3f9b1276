/** Tasks page by page, newest or oldest first: by id, which is by the time of creation. */
import type { SelectQueryBuilder } from 'typeorm';
import type { TaskListQuery } from '@millrace/contracts';
import type { Transaction } from '../database.ts';
import { TaskRow } from '../entities/index.ts';

/** What is listed: all but what went in and came out. */
const columns = [
  ...['id', 'kind', 'model', 'status', 'error', 'metadata', 'attempt', 'priority', 'runAt', 'deadline'],
  ...['inputTokens', 'outputTokens', 'createdAt', 'startedAt', 'finishedAt'],
] as const;

/** The least id that a task of this second can have: a UUIDv7 begins with its milliseconds. */
const idAt = (seconds: number) =>
  `task_${Math.floor(seconds * 1_000)
    .toString(16)
    .padStart(12, '0')}`;

/** @param kinds of which it must be one; what went in is listed too then. */
export function buildTaskQuery(
  tx: Transaction,
  workspaceId: string,
  page: TaskListQuery,
  kinds?: readonly string[],
): SelectQueryBuilder<TaskRow> {
  const { after, order, limit, status, kind, model, metadata, created_after, created_before } = page;
  const query = tx
    .getRepository(TaskRow)
    .createQueryBuilder('task')
    .select(columns.map((column) => `task.${column}`))
    .where('task.workspaceId = :workspaceId', { workspaceId })
    .orderBy('task.id', order === 'asc' ? 'ASC' : 'DESC')
    .limit(limit + 1);
  if (after) query.andWhere(`task.id ${order === 'asc' ? '>' : '<'} :after`, { after });
  if (status) query.andWhere('task.status = :status', { status });
  if (kinds) {
    query.andWhere('task.kind in (:...kinds)', { kinds });
    query.addSelect(['task.input', 'task.progress', 'task.beganAt', 'task.estimateMs']);
  }
  if (kind) query.andWhere('task.kind = :kind', { kind });
  if (model) query.andWhere('task.model = :model', { model });
  if (metadata) query.andWhere('task.metadata @> :metadata::jsonb', { metadata: JSON.stringify(metadata) });
  if (created_after !== undefined) query.andWhere('task.id >= :from', { from: idAt(created_after) });
  if (created_before !== undefined) query.andWhere('task.id < :to', { to: idAt(created_before) });
  return query;
}
