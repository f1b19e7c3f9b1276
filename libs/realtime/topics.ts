/** The topics of the bus, each with its schema. Publisher and subscriber are checked against it. */
import { z } from 'zod';
import { idSchema, taskError, taskStatuses } from '@millrace/contracts';

const batchId = idSchema('batch');
const taskId = idSchema('task');
const position = z.int().positive();

const taskEnd = z.object({
  status: z.enum(taskStatuses),
  /** The result as JSON text. */
  output: z.string().nullable(),
  error: taskError.nullable(),
});

/** Messages are sent once. A subscriber that may have missed one is asked to read the state from Postgres again. */
export const messages = {
  /** The batch was cancelled or has expired: stop its chunks. */
  'batch.closing': z.object({ batchId }),
  /** The batch's chunk rows exist: the dispatcher may start. */
  'batch.planned': z.object({ batchId }),
  /** A chunk of the batch ended, so that the dispatcher may add another one. */
  'chunk.done': z.object({ batchId }),
  /** Events were committed: the relay publishes them now instead of at its next poll. */
  'events.committed': z.object({}),
  /** Positions `from` to `to` of this workspace's feed can be read. */
  'events.published': z.object({ workspaceId: idSchema('workspace'), from: position, to: position }),
  /** The task was cancelled: stop it. */
  'task.cancel': z.object({ taskId }),
  /** The task ended. `end` is set when the result is small; otherwise read it from Postgres. */
  'task.ended': z.object({ taskId, end: taskEnd.optional() }),
  /** A row of `desired_models` was added or removed. */
  'desired_models.changed': z.object({}),
  /** Webhook deliveries are due: the senders lease them now instead of at their next poll. */
  'deliveries.due': z.object({}),
  /** The key was revoked: close the connections that were opened with it. */
  'key.revoked': z.object({ keyId: idSchema('apiKey') }),
} as const;

/** Updates are coalesced by subject: the newest of each tenth of a second is sent. Any update may be dropped. */
export const updates = {
  /** The batch's progress changed. */
  batch: { payload: z.object({ batchId }), getSubject: (update: { batchId: string }) => update.batchId },
  /** The task's progress or its position in the queue changed. */
  task: { payload: z.object({ taskId }), getSubject: (update: { taskId: string }) => update.taskId },
} as const;

export type MessageTopic = keyof typeof messages;
export type Message<T extends MessageTopic> = z.output<(typeof messages)[T]>;
export type UpdateTopic = keyof typeof updates;
export type Update<T extends UpdateTopic> = z.output<(typeof updates)[T]['payload']>;
