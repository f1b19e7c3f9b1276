/**
 * Events of the workspace's feed, which sockets, event streams and webhooks carry. An event is written in the transaction
 * of the change that it reports. `sequence` orders the events of one subject, `position` those of the workspace's feed.
 */
import { z } from 'zod';
import { timestamp } from './fields.ts';
import { idSchema } from './ids.ts';

export const eventTypes = [
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
  'video.completed',
  'video.failed',
  'webhook_endpoint.disabled',
] as const;
export type EventType = (typeof eventTypes)[number];

export const eventObject = z.object({
  id: idSchema('event'),
  object: z.literal('event'),
  version: z.literal(1),
  type: z.enum(eventTypes),
  created_at: timestamp,
  workspace: idSchema('workspace'),
  /** Id of the batch, task or webhook endpoint that the event is about. */
  subject: z.string(),
  sequence: z.int().positive(),
  /** True for the last event of the subject. */
  terminal: z.boolean(),
  /** Position in the workspace's feed: from 1, without gaps. Clients resume from it. */
  position: z.int().positive(),
  data: z.looseObject({ id: z.string() }),
});
export type EventObject = z.output<typeof eventObject>;
