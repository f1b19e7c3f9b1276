/**
 * Facts: what the feed holds and sockets, event streams and webhooks carry. A fact is written in the
 * transaction that made it true; `sequence` orders one subject's facts, `position` the workspace's feed.
 */
export const factTypes = [
  'batch.in_progress',
  'batch.progress',
  'batch.paused',
  'batch.completed_with_errors',
  'batch.completed',
  'batch.failed',
  'batch.expired',
  'batch.cancelling',
  'batch.cancelled',
  'task.scheduled',
  'task.queued',
  'task.started',
  'task.progress',
  'task.succeeded',
  'task.failed',
  'task.canceled',
  'task.expired',
  'webhook_endpoint.disabled',
] as const;
export type FactType = (typeof factTypes)[number];

export interface Fact {
  id: string;
  object: 'event';
  version: 1;
  type: FactType;
  /** Unix seconds. */
  created_at: number;
  workspace: string;
  /** The id of what the fact is about: a batch, a task, a webhook endpoint. */
  subject: string;
  sequence: number;
  /** Nothing more will happen to the subject. */
  terminal: boolean;
  /** Place in the workspace's feed, from 1 and without holes; clients resume by it. */
  position: number;
  data: { id: string } & Record<string, unknown>;
}
