/**
 * What clients follow live, over Socket.IO and as event streams. Events are in `events.ts`. A state replaces the states
 * before it: any state except the last one may be skipped.
 */
import { z } from 'zod';
import { batchObject } from './batches.ts';
import { eventObject, type EventObject } from './events.ts';
import { optional, queryInteger, withDefault } from './fields.ts';
import { idSchema } from './ids.ts';
import { pageSchema } from './pages.ts';
import { taskObject } from './tasks.ts';
import { workerObject } from './workers.ts';

const stateMessage = <const Type extends string, Data extends z.ZodType>(type: Type, data: Data) =>
  z.object({
    object: z.literal('state'),
    version: z.literal(1),
    type: z.literal(type),
    /** Id of the batch or task; `workers` for the workers. */
    subject: z.string(),
    /** Sequence of the subject's newest event that this state includes. Ignore events up to it. */
    sequence: z.int().nonnegative(),
    data,
  });

/** The current state of a batch or a task. */
export const liveState = z.discriminatedUnion('type', [
  stateMessage('batch', batchObject),
  stateMessage('task', taskObject),
]);
export type LiveState = z.output<typeof liveState>;

/** The workers, as `GET /v1/workers` lists them. `sequence` is the time in Unix ms at which they were read. */
export const workersState = stateMessage('workers', pageSchema(workerObject));
export type WorkersState = z.output<typeof workersState>;

/** Position in a workspace's feed. A client sends the last position that it has received. */
const position = queryInteger(0, Number.MAX_SAFE_INTEGER);

/** A client subscribes to a batch, a task, its workspace or the workers. The server maps these to rooms. */
export const subscribeMessage = z.union([
  z.strictObject({ batch: idSchema('batch') }),
  z.strictObject({ task: idSchema('task') }),
  z.strictObject({ workspace: z.literal(true), after: optional(position) }),
  z.strictObject({ workers: z.literal(true) }),
]);
export type SubscribeMessage = z.output<typeof subscribeMessage>;

export type SubscribeAck =
  /** For a batch or a task. */
  | { ok: true; state: LiveState }
  /** For the workers. */
  | { ok: true; state: WorkersState }
  /** For the workspace: events after this position follow. */
  | { ok: true; position: number }
  | { ok: false; error: { code: string; message: string } };

export interface ServerToClient {
  /** The current state of a subject that the client subscribed to. */
  state: (state: LiveState | WorkersState) => void;
  /** An event of a subscribed subject or workspace. Each is sent once, in the order of the feed. */
  event: (event: EventObject) => void;
}

export interface ClientToServer {
  subscribe: (message: z.input<typeof subscribeMessage>, ack: (answer: SubscribeAck) => void) => void;
  unsubscribe: (message: z.input<typeof subscribeMessage>) => void;
}

/** For `GET /v1/events` as a list and as a stream, and for the streams of one subject. */
export const eventsQuery = z.object({
  after: optional(position),
  limit: withDefault(queryInteger(1, 1_000), 100),
});
export type EventsQuery = z.output<typeof eventsQuery>;

export const eventPage = pageSchema(eventObject);
