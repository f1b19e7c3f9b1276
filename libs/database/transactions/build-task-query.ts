/** The query of a page of tasks. Pages are ordered by id, and ids by the time of creation. */
import type { SelectQueryBuilder } from 'typeorm';
import type { TaskListQuery } from '@millrace/contracts';
import { TaskRow } from '../entities/index.ts';
import type { Transaction } from '../transaction.ts';

/** All columns except inputs and outputs, which may be large. */
const columns = [
  ...['id', 'kind', 'model', 'status', 'error', 'metadata', 'attempt', 'priority', 'runAt', 'deadline'],
  ...['inputTokens', 'outputTokens', 'createdAt', 'startedAt', 'finishedAt'],
] as const;

/** The smallest id of a task created in this second: a UUIDv7 begins with its milliseconds. */
const smallestIdAt = (seconds: number) =>
  `task_${Math.floor(seconds * 1_000)
    .toString(16)
    .padStart(12, '0')}`;

/** @param kinds only tasks of these kinds, with their inputs. */
export function buildTaskQuery(
  transaction: Transaction,
  workspaceId: string,
  page: TaskListQuery,
  kinds?: readonly string[],
): SelectQueryBuilder<TaskRow> {
  const { after, order, limit, status, kind, model, metadata, created_after, created_before } = page;
  const query = transaction
    .repository(TaskRow)
    .createQueryBuilder('task')
    .select(columns.map((column) => `task.${column}`))
    .where('task.workspaceId = :workspaceId', { workspaceId })
    .orderBy('task.id', order === 'asc' ? 'ASC' : 'DESC')
    .limit(limit + 1);
  if (after) query.andWhere(`task.id ${order === 'asc' ? '>' : '<'} :after`, { after });
  if (status) query.andWhere('task.status = :status', { status });
  if (kinds) {
    query.andWhere('task.kind in (:...kinds)', { kinds });
    query.addSelect(['task.input', 'task.progress', 'task.runStartedAt', 'task.estimateMs']);
  }
  if (kind) query.andWhere('task.kind = :kind', { kind });
  if (model) query.andWhere('task.model = :model', { model });
  if (metadata) query.andWhere('task.metadata @> :metadata::jsonb', { metadata: JSON.stringify(metadata) });
  if (created_after !== undefined) query.andWhere('task.id >= :from', { from: smallestIdAt(created_after) });
  if (created_before !== undefined) query.andWhere('task.id < :to', { to: smallestIdAt(created_before) });
  return query;
}
