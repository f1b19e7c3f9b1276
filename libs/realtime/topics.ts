/** What may be said on the bus: every topic with the schema that both ends hold it to. */
import { z } from 'zod';
import { idSchema, taskStatuses } from '@millrace/contracts';

const batchId = idSchema('batch');
const taskId = idSchema('task');
const position = z.int().positive();

const taskEnd = z.object({
  status: z.enum(taskStatuses),
  /** The answer as JSON text. */
  output: z.string().nullable(),
  error: z
    .object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string().nullable(),
      status: z.int(),
    })
    .nullable(),
});

/** Said once to whoever listens; a listener that may have missed one is told to read the truth again. */
export const messages = {
  /** It was cancelled, or has expired: stop its chunks wherever they run. */
  'batch.closing': z.object({ batchId }),
  /** Its chunk rows are written: the dispatcher may start. */
  'batch.planned': z.object({ batchId }),
  /** A place in the batch's window is free. */
  'chunk.done': z.object({ batchId }),
  /** Facts were committed: the relay may stamp them without waiting for its next look. */
  'facts.written': z.object({}),
  /** Positions `from` to `to` of this workspace's feed can now be read. */
  'facts.stamped': z.object({ workspaceId: idSchema('workspace'), from: position, to: position }),
  /** Stop this task wherever it runs. */
  'task.cancel': z.object({ taskId }),
  /** Whoever waits for it may go on: with its end, where that is small, else with what Postgres says. */
  'task.ended': z.object({ taskId, end: taskEnd.optional() }),
  /** A model is wanted in memory or no longer: `model_wishes` has changed. */
  'models.wished': z.object({}),
  /** Webhook deliveries are due: whoever sends them need not wait for its next look. */
  'deliveries.due': z.object({}),
  /** Connections that this key opened must end. */
  'key.revoked': z.object({ keyId: idSchema('apiKey') }),
} as const;

/** Coalesced by `subject`: of several in a tenth of a second the newest is sent, and any may be lost. */
export const updates = {
  batch: { payload: z.object({ batchId }), subject: (signal: { batchId: string }) => signal.batchId },
  /** It moved: its progress, or its place in the queue. */
  task: { payload: z.object({ taskId }), subject: (signal: { taskId: string }) => signal.taskId },
} as const;

export type MessageTopic = keyof typeof messages;
export type Message<T extends MessageTopic> = z.output<(typeof messages)[T]>;
export type UpdateTopic = keyof typeof updates;
export type Update<T extends UpdateTopic> = z.output<(typeof updates)[T]['payload']>;
